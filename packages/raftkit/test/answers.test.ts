import { expect, test } from 'vitest'
import { Answers } from '../src/answers.ts'

const kept = (answers: Answers, upTo: number): number[] =>
  Array.from({ length: upTo }, (_, at) => at + 1).filter((index) => answers.get(index) !== undefined)

test('the newest results stay, no more than so many and so many bytes, however many come', () => {
  const answers = new Answers(4, 100)
  for (let index = 1; index <= 1000; index++) answers.add(index, new Uint8Array(10))
  expect(kept(answers, 1000)).toEqual([997, 998, 999, 1000])
  answers.add(1001, new Uint8Array(75))
  expect(kept(answers, 1001)).toEqual([999, 1000, 1001])
})

test('a result that is larger than all of the room is not kept, and those behind it are', () => {
  const answers = new Answers(4, 100)
  answers.add(1, new Uint8Array(10))
  answers.add(2, new Uint8Array(101))
  answers.add(3, new Uint8Array(10))
  expect(kept(answers, 3)).toEqual([3])
})
