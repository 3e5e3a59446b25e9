import { decodeConfiguration, flawOfConfiguration } from './epochs.ts'
import type { Server } from './server.ts'

/** Why this configuration is not even proposed, its signatures aside: beyond what every member asks of it, what only hurts whoever brings it. */
export function flawOfChange(
  { members, settings }: Server,
  item: Uint8Array,
): { readonly code: 'TOO_LARGE' | 'REFUSED'; readonly reason: string } | undefined {
  if (item.length > settings.batchBytes)
    return {
      code: 'TOO_LARGE',
      reason: `a configuration of ${item.length} bytes; at most ${settings.batchBytes} fit`,
    }
  const refused = (reason: string) => ({ code: 'REFUSED', reason }) as const
  const flaw = flawOfConfiguration(settings.digest, members, item)
  if (flaw !== undefined) return refused(`this configuration changes nothing: ${flaw}`)
  const lost = decodeConfiguration(item).configuration.members.find(({ address }) => !address)
  return lost && refused(`this configuration says no address of ${lost.id}, by which the others find it`)
}
