import { generateKeyPairSync, sign, verify } from 'node:crypto'
import type { CaseContext } from '../harness/case.ts'
import type { Sample } from '../harness/part.ts'
import { rates, timed } from '../harness/timed.ts'

const bytes = Buffer.alloc(256, 'raftkit')
const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const signature = sign(null, bytes, privateKey)

const work = {
  'Ed25519 sign': () => sign(null, bytes, privateKey).length,
  'Ed25519 verify': () => (verify(null, bytes, publicKey, signature) ? 1 : 0),
}

export type Deed = keyof typeof work

/**
 * Processor time of the machine that figures from elsewhere were taken on, in µs. What this machine takes over what that one took scales
 * those figures, as far as two bits of native code can tell.
 */
export const elsewhere: Readonly<Record<Deed, number>> = { 'Ed25519 sign': 47, 'Ed25519 verify': 149 }

export async function processor({ deed }: { deed: Deed }, context: CaseContext): Promise<Sample> {
  let done = 0
  const { perSecond, cpuUs } = rates(
    await timed(context, () => {
      for (let i = 0; i < 100; i++) done += work[deed]()
      return 100
    }),
  )
  if (done === 0) throw new Error(`${deed} did nothing`)
  return { perSecond, cpuUs, elsewhereUs: elsewhere[deed], factor: cpuUs / elsewhere[deed] }
}
