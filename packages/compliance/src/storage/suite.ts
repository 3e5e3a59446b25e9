import { type Runner, suiteOf } from '../runner.ts'
import { snapshotPromises } from '../snapshots/suite.ts'
import { crashPromises } from './crash.ts'
import { damagePromises } from './damage.ts'
import { flushPromises } from './flush.ts'
import { fullPromises } from './full.ts'
import { groupPromises } from './groups.ts'
import { handoverPromises } from './handover.ts'
import { lifecyclePromises } from './lifecycle.ts'
import { logPromises } from './log.ts'
import { orderPromises } from './order.ts'
import { ownerPromises } from './owners.ts'
import { promisesIn } from './place.ts'
import { powerCutPromises } from './powercut.ts'
import { readPromises } from './reads.ts'
import { sequencePromises } from './sequences.ts'
import { checkSubject, type StorageSubject } from './subject.ts'

/** Defines the tests of every promise of the storage port, snapshots included, over one adapter. Throws `INVALID_OPTION`. */
export function storageCompliance(runner: Runner, subject: StorageSubject): void {
  checkSubject(subject)
  const suite = suiteOf(runner)
  const it = promisesIn(suite, subject)
  suite.describe('logs', () => logPromises(it))
  suite.describe('the order of writes', () => orderPromises(it))
  suite.describe('reads', () => readPromises(it))
  suite.describe('bytes left alone', () => handoverPromises(it))
  suite.describe('life cycle', () => lifecyclePromises(suite, it, subject))
  suite.describe('owners', () => ownerPromises(suite, it, subject))
  suite.describe('groups', () => groupPromises(it))
  suite.describe('random sequences', () => sequencePromises(it, subject))
  snapshotPromises(suite, subject)
  suite.describe('crashes', () => crashPromises(suite, it, subject))
  suite.describe('flushes', () => flushPromises(suite, subject))
  suite.describe('power cuts', () => powerCutPromises(suite, subject))
  suite.describe('damage', () => damagePromises(suite, subject))
  suite.describe('a full disk', () => fullPromises(suite, subject))
}
