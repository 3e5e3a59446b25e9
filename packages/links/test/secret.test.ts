import type { Receiver } from '@raftkit/contract'
import { describe, expect, test } from 'vitest'
import { Calling, Handshake, type Hello, Meeting } from '../src/handshake.ts'
import { Secret } from '../src/secret.ts'

const words = 'the words that only we know, and nobody else'

function host(id: string, secret: string | undefined = words): Handshake & { admitted: string[] } {
  const admitted: string[] = []
  const receiver = {
    hello: () => new TextEncoder().encode(id),
    admit: (hello: Uint8Array) => {
      admitted.push(new TextDecoder().decode(hello))
      return admitted.at(-1)!
    },
  } as Partial<Receiver> as Receiver
  const life = id.charCodeAt(0).toString(16).repeat(8)
  const of = { self: id, receiver, life, maxFrameBytes: 65_536, secret: secret === '' ? undefined : new Secret(secret) }
  return Object.assign(new Handshake(of), { admitted })
}

const anyone = () => {}
const meet = (at: Handshake, hello: Hello, lane: 'control' | 'bulk' = 'control') =>
  new Meeting(at, hello, lane, undefined, anyone)

/** A refusal for that reason; it is no error. */
const saying = (why: string): object => expect.objectContaining({ reason: expect.stringContaining(why) })

describe('who knows the secret', () => {
  test('is admitted, both ways, and says it nowhere', () => {
    const [a, b] = [host('a'), host('b')]
    const calling = new Calling(a, 'control')
    const first = calling.hello()
    const meeting = meet(b, first)
    const proof = calling.answer(meeting.challenge!)
    const { caller, hello } = meeting.admit(proof)
    expect(caller.peer).toBe('a')
    expect(calling.check(hello, undefined).peer).toBe('b')
    const said = Buffer.concat([
      first.hello,
      first.nonce,
      meeting.challenge!,
      proof,
      hello.hello,
      hello.nonce,
      hello.proof,
    ])
    expect(said.includes(words)).toBe(false)
    expect(JSON.stringify([a, b, calling, meeting])).not.toContain(words)
  })

  test('need not be the one who heard a proof: nothing that was said can be said again', () => {
    const [a, b] = [host('a'), host('b')]
    const calling = new Calling(a, 'control')
    const said = calling.hello()
    const meeting = meet(b, said)
    const proof = calling.answer(meeting.challenge!)
    meeting.admit(proof)
    // The same hello and the same proof, at another connection.
    expect(() => meet(b, said).admit(proof)).toThrow(expect.objectContaining({ kind: 'refused' }))
    expect(b.admitted).toEqual(['a'])
  })

  test('cannot be played by who throws back what it hears', () => {
    const a = host('a')
    const calling = new Calling(a, 'control')
    const ours = calling.hello()
    // It answers with our own hello, and has us answer our own challenge.
    const meeting = meet(a, { ...ours, hello: new TextEncoder().encode('m') })
    const proof = calling.answer(meeting.challenge!)
    expect(() => calling.check({ ...ours, proof }, undefined)).toThrow(saying('secret'))
    expect(() => meeting.admit(proof)).toThrow(saying('secret'))
    expect(a.admitted).toEqual([])
  })

  test.each<[string, (hello: Hello) => Hello]>([
    ['the host says', (hello) => ({ ...hello, hello: new TextEncoder().encode('m') })],
    ['life it is', (hello) => ({ ...hello, life: '00112233445566ff' })],
    ['frames it takes', (hello) => ({ ...hello, maxFrameBytes: 100_000 })],
    ['nonce it has', (hello) => ({ ...hello, nonce: new Uint8Array(16) })],
  ])('has what %s unaltered, in both directions', (_, alter) => {
    const [a, b] = [host('a'), host('b')]
    const altered = new Calling(a, 'control')
    const meeting = meet(b, alter(altered.hello()))
    expect(() => meeting.admit(altered.answer(meeting.challenge!))).toThrow(saying('secret'))

    const calling = new Calling(a, 'control')
    const another = meet(b, calling.hello())
    const { hello } = another.admit(calling.answer(another.challenge!))
    expect(() => calling.check(alter(hello), undefined)).toThrow(saying('secret'))
    expect([a.admitted, b.admitted]).toEqual([[], ['a']])
  })

  test('proves it for one lane', () => {
    const [a, b] = [host('a'), host('b')]
    const calling = new Calling(a, 'control')
    const meeting = meet(b, calling.hello(), 'bulk')
    expect(() => meeting.admit(calling.answer(meeting.challenge!))).toThrow(saying('secret'))
  })

  test.each([0, 1, 31, 33, 64])('is not one whose proof has %d bytes', (bytes) => {
    const meeting = meet(host('b'), new Calling(host('a'), 'control').hello())
    expect(() => meeting.admit(new Uint8Array(bytes))).toThrow(saying('secret'))
  })

  test('is asked once, in order, and by no other length of challenge', () => {
    const calling = new Calling(host('a'), 'control')
    expect(() => calling.answer(new Uint8Array(16))).toThrow(saying('out of order'))
    calling.hello()
    expect(() => calling.answer(new Uint8Array(15))).toThrow(saying('out of order'))
    calling.answer(new Uint8Array(16))
    expect(() => calling.answer(new Uint8Array(16))).toThrow(saying('out of order'))
  })

  test('turns down who does not ask for it, and who has none turns down who asks', () => {
    const [knowing, none] = [new Calling(host('a'), 'control'), new Calling(host('a', ''), 'control')]
    const meeting = meet(host('b', ''), knowing.hello())
    expect(meeting.challenge).toBeUndefined()
    expect(() => knowing.check(meeting.admit().hello, undefined)).toThrow(saying('it asks for no secret'))
    none.hello()
    expect(() => none.answer(new Uint8Array(16))).toThrow(saying('this node was given none'))
  })

  test('a hello whose nonce has another length is malformed, and nobody is asked', () => {
    const b = host('b')
    const hello = { ...new Calling(host('a'), 'control').hello(), nonce: new Uint8Array(15) }
    expect(() => meet(b, hello)).toThrow(expect.objectContaining({ kind: 'malformed' }))
    expect(() => new Meeting(b, undefined, 'bulk', undefined, anyone)).toThrow(saying('no hello'))
  })
})
