import type { Sample } from '../../harness/part.ts'
import { drive, type Load, type Target } from './drive.ts'
import { type Watched, watch } from './usage.ts'

/** Drives the target, and reads at the edges of the measured window what was used in it. */
export async function measured(
  target: Target,
  load: Load,
  watched: Watched,
  tell: (edge: 'begin' | 'end') => void,
): Promise<Sample> {
  let watching: ReturnType<typeof watch>
  let used: (operations: number) => Sample
  const sample = await drive(target, load, {
    begin() {
      watching = watch(watched)
      tell('begin')
    },
    end() {
      used = watching.stop()
      tell('end')
    },
  })
  return { ...sample, ...used!(sample.done!) }
}
