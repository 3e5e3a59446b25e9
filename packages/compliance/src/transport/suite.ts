import { type Runner, suiteOf } from '../runner.ts'
import { framePromises } from './frames.ts'
import { greetingPromises } from './greeting.ts'
import { lanePromises } from './lanes.ts'
import { lifecyclePromises } from './lifecycle.ts'
import { linkPromises } from './links.ts'
import { processPromises } from './processes.ts'
import { promisesOf } from './stage.ts'
import type { TransportSubject } from './subject.ts'

/**
 * Defines the tests of every promise of the transport port over one adapter. It asks for no more than the port promises: a frame is sent until
 * it is heard. Whatever is heard is held against what was said: nothing altered, joined, crossed, or after `close`. Throws `INVALID_OPTION`.
 */
export function transportCompliance(runner: Runner, subject: TransportSubject): void {
  const suite = suiteOf(runner)
  const it = promisesOf(suite, subject)
  suite.describe('life cycle', () => lifecyclePromises(suite, it, subject))
  suite.describe('hello and admit', () => greetingPromises(it))
  suite.describe('frames', () => framePromises(it, subject))
  suite.describe('lanes and back-pressure', () => lanePromises(suite, it, subject))
  suite.describe('links', () => linkPromises(suite, it, subject))
  suite.describe('processes', () => processPromises(suite, it, subject))
}
