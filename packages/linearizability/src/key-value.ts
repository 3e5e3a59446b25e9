import { type Json, same } from './canonical.ts'
import { type Operation, quote } from './history.ts'
import { illegal, type Model } from './model.ts'

/**
 * What a client asks of one key. `null` stands for an absent key: a `get` answers it, a `cas` may expect it, and no
 * `put` or `cas` can store it.
 */
export type Command =
  | { readonly op: 'get' }
  | { readonly op: 'put'; readonly value: Json }
  /** Output true: the value was `from` and is `to` now. False: it was another, and still is. */
  | { readonly op: 'cas'; readonly from: Json; readonly to: Json }
  /** Concatenation; an absent key counts as the empty text. Output, if any: the whole text afterwards. */
  | { readonly op: 'append'; readonly text: string }
  /** Output, if any: whether there was a value. */
  | { readonly op: 'delete' }

/** A key's value; undefined: absent. */
export type Stored = Json | undefined

/** One key of a key-value store. */
export const keyValue: Model<Stored, Command, Json> = {
  initial: undefined,

  step(stored, command, output) {
    switch (command.op) {
      case 'get':
        return output === undefined || same(stored ?? null, output) ? stored : illegal
      case 'put':
        return command.value
      case 'cas': {
        const swapped = same(stored ?? null, command.from)
        if (output !== undefined && output !== swapped) return illegal
        return swapped ? command.to : stored
      }
      case 'append': {
        if (stored !== undefined && typeof stored !== 'string') return illegal
        const text = (stored ?? '') + command.text
        return output === undefined || output === text ? text : illegal
      }
      case 'delete':
        return output === undefined || output === (stored !== undefined) ? undefined : illegal
    }
  },

  reads(command, output) {
    return command.op === 'get' || ((command.op === 'cas' || command.op === 'delete') && output === false)
  },

  overwrites(command, output) {
    return command.op === 'put' || (command.op === 'delete' && output === undefined)
  },

  /**
   * A text that is not the beginning of one that somebody saw is seen by nobody, whatever is appended to it: all of them
   * are one. Otherwise every order of appends of unknown outcome would be a state of its own.
   */
  focus(history) {
    if (!history.some(({ input }) => input.op === 'append')) return keyValue
    const seen = textsSeen(history)
    let unseen = '(a text that nobody saw)'
    while (isBeginning(unseen, seen)) unseen += '.'
    return {
      ...keyValue,
      step(stored, command, output) {
        const after = keyValue.step(stored, command, output)
        return typeof after === 'string' && !isBeginning(after, seen) ? unseen : after
      },
    }
  },

  objection(command, output, ok) {
    // What failed or is unknown has no output that anybody could rely on.
    const answer = ok === true ? output : undefined
    switch (command.op) {
      case 'get':
        if (ok === true && output === undefined) return 'a get that succeeded needs its output, null for an absent key'
        return undefined
      case 'put':
        if (command.value === undefined) return 'a put needs a value'
        return command.value === null ? 'null stands for an absent key and cannot be put: use delete' : undefined
      case 'cas':
        if (command.from === undefined || command.to === undefined) return 'a cas needs two values, [from, to]'
        if (command.to === null) return 'null stands for an absent key: a cas can expect it, not store it'
        if (answer !== undefined && typeof answer !== 'boolean') {
          return `the output of a cas must be true or false, not ${quote(answer)}`
        }
        return undefined
      case 'append':
        if (typeof command.text !== 'string') return `an append needs a text, not ${quote(command.text)}`
        if (answer !== undefined && typeof answer !== 'string') {
          return `the output of an append must be the new text, not ${quote(answer)}`
        }
        return undefined
      case 'delete':
        if (answer !== undefined && typeof answer !== 'boolean') {
          return `the output of a delete must be true or false, not ${quote(answer)}`
        }
        return undefined
      default:
        return `op must be get, put, cas, append or delete, not ${quote((command as { op: unknown }).op)}`
    }
  },
}

/** What reads and appends answered and what swaps compared with, in order. */
function textsSeen(history: readonly Operation<Command, Json>[]): string[] {
  const seen = new Set<string>()
  for (const { input, output, ok } of history) {
    const text = input.op === 'cas' ? input.from : ok === true ? output : undefined
    if (typeof text === 'string') seen.add(text)
  }
  return [...seen].sort()
}

/** Whether one of the texts begins with this one: the first that does not come before it does, or none. */
function isBeginning(text: string, texts: readonly string[]): boolean {
  let [low, high] = [0, texts.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (texts[middle]! < text) low = middle + 1
    else high = middle
  }
  return low < texts.length && texts[low]!.startsWith(text)
}
