import { isRaftkitError, RaftkitError } from '@raftkit/contract'

/** What Node says of a failed call: `ENOENT`, `ENOSPC`, … */
export const systemCode = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code

/** Runs `work`; what the file system reports becomes `STORAGE_FAILED`, retryable when only space is missing. */
export async function onDisk<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (isRaftkitError(cause)) throw cause
    const full = ['ENOSPC', 'EDQUOT'].includes(systemCode(cause) ?? '')
    const advice = full ? 'free some space' : 'look at the cause'
    throw new RaftkitError('STORAGE_FAILED', `could not ${what}; ${advice}`, { cause, retryable: full })
  }
}
