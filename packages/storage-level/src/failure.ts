import { type GroupId, isRaftkitError, RaftkitError } from '@raftkit/contract'

const advice =
  'the data of this member is not to be trusted: move the directory away and add the member again as a new incarnation'

export const storeDamaged = (directory: string, what: string, cause?: unknown): RaftkitError =>
  new RaftkitError('DAMAGED', `${directory}: ${what}; ${advice}`, { cause })

export const groupDamaged = (group: GroupId, what: string, cause?: unknown): RaftkitError =>
  new RaftkitError('DAMAGED', `group ${group}: ${what}; ${advice} (other groups are not concerned)`, { cause })

/** A disk or a quota is full. LevelDB passes on only the system's words. */
export function isFull(error: unknown): boolean {
  for (let at = error as { message?: string; code?: string; cause?: unknown } | undefined; at; at = at.cause as never)
    if (/ENOSPC|EDQUOT|no space left|quota exceeded|not enough space/i.test(`${at.code} ${at.message}`)) return true
  return false
}

/** Whether LevelDB's error says that what was written is not there, or not as it was: not that it may not be read now. */
export function isDamage(error: unknown): boolean {
  const { code, message = '' } = ((error as Error).cause ?? error) as { code?: string; message?: string }
  return code === 'LEVEL_CORRUPTION' || /no such file|invalid argument|input\/output error|truncated/i.test(message)
}

/** What a failed open of LevelDB means. */
export function openFailure(directory: string, error: unknown): RaftkitError {
  if (isRaftkitError(error)) return error
  const { code } = ((error as Error).cause ?? error) as { code?: string }
  if (code === 'LEVEL_LOCKED')
    return new RaftkitError(
      'LOCKED',
      `${directory} is held by another process, or by another storage of this one; end it first, or give this member a directory of its own`,
      { cause: error },
    )
  if (isDamage(error)) return storeDamaged(directory, 'LevelDB cannot open it', error)
  return failed(`could not open ${directory}`, error)
}

export function failed(what: string, cause: unknown): RaftkitError {
  if (isRaftkitError(cause)) return cause
  const full = isFull(cause)
  return new RaftkitError('STORAGE_FAILED', `${what}; ${full ? 'free some space' : 'look at the cause'}`, {
    cause,
    retryable: full,
  })
}
