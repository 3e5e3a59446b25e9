import { expect, test } from 'vitest'
import type { Hello } from '../src/hello.ts'
import { Hellos } from '../src/hellos.ts'

const hello = (node: string, incarnation = 'a'.repeat(32)): Hello => ({
  cluster: 'c',
  node,
  incarnation,
  genesis: '',
  protocol: 'raft',
  machineVersion: 1,
})

test('a stranger who says hello under ever new names fills no memory, and drives out nobody who belongs here', () => {
  const hellos = new Hellos()
  const belongs = (node: string): boolean => node === 'n1' || node === 'n2'
  hellos.remember(hello('n1'), belongs)
  for (let i = 0; i < 10_000; i++) hellos.remember(hello(`x${i}`), belongs)
  hellos.remember(hello('n2'), belongs)
  expect(hellos.size).toBeLessThan(100)
  expect(hellos.get('n1')).toEqual(hello('n1'))
  expect(hellos.get('n2')).toEqual(hello('n2'))
  expect(hellos.has('x9999')).toBe(true)
  expect(hellos.has('x0')).toBe(false)
})

test('who says hello again is known by the latest', () => {
  const hellos = new Hellos()
  hellos.remember(hello('n1'), () => false)
  hellos.remember(hello('n1', 'b'.repeat(32)), () => false)
  expect([...hellos.values()]).toEqual([hello('n1', 'b'.repeat(32))])
})
