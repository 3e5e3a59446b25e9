import { type Runner, type Suite, suiteOf } from '../runner.ts'
import { promisesIn } from '../storage/place.ts'
import { checkSubject, type StorageSubject } from '../storage/subject.ts'
import { readingPromises } from './reading.ts'
import { retainingPromises } from './retaining.ts'
import { writingPromises } from './writing.ts'

/** Defines the tests of the snapshot store alone: a part of `storageCompliance`. Throws `INVALID_OPTION`. */
export function snapshotCompliance(runner: Runner, subject: StorageSubject): void {
  checkSubject(subject)
  snapshotPromises(suiteOf(runner), subject)
}

export function snapshotPromises(suite: Suite, subject: StorageSubject): void {
  const it = promisesIn(suite, subject)
  suite.describe('writing snapshots', () => writingPromises(it))
  suite.describe('reading snapshots', () => readingPromises(it))
  suite.describe('retaining snapshots', () => retainingPromises(it))
}
