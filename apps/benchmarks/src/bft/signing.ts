import { ed25519, generateKey } from '@raftkit/ed25519'
import type { CaseContext } from '../harness/case.ts'
import type { Sample } from '../harness/part.ts'
import { rates, timed } from '../harness/timed.ts'

/** As many bytes as a member signs. */
const statementBytes = 120

/** One after the other, as fast as they go. Four of these at once have what four members have. */
export async function signing({ what }: { readonly what: 'sign' | 'verify' }, context: CaseContext): Promise<Sample> {
  const signatures = ed25519(generateKey(), { threads: 0 })
  const bytes = new Uint8Array(statementBytes).fill(7)
  const check = { key: signatures.key, bytes, signature: await signatures.sign(bytes) }
  const step = () => {
    for (let i = 0; i < 20; i++) void (what === 'sign' ? signatures.sign(bytes) : signatures.verify([check]))
    return 20
  }
  return rates(await timed(context, step))
}
