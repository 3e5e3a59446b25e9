import { type Answer, type Ask, RaftkitError, type Signatures } from '@raftkit/contract'
import { failure } from './failure.ts'

type SigningAsk = Extract<Ask, { readonly type: 'sign' | 'verify' }>

/** Has it signed or verified, and calls one of the two, once: at once if the signatures are there at once. */
export function carryOut(
  ask: SigningAsk,
  signatures: Signatures | undefined,
  done: (answer: Answer) => void,
  failed: (error: RaftkitError) => void,
): void {
  const stop = (error: unknown): void =>
    failed(
      failure(
        error,
        'SIGNING_FAILED',
        `this replica could not ${ask.type}, and stops; mend its signatures, and start again`,
      ),
    )
  try {
    if (!signatures) throw new RaftkitError('INVARIANT', 'a protocol that does not say that it signs asks for it')
    if (ask.type === 'sign') {
      const signature = signatures.sign(ask.bytes)
      if (!('then' in signature)) return done({ type: 'sign', signature })
      signature.then((signature) => done({ type: 'sign', signature })).catch(stop)
    } else {
      const valid = signatures.verify(ask.checks)
      if (!('then' in valid)) return done({ type: 'verify', valid })
      valid.then((valid) => done({ type: 'verify', valid })).catch(stop)
    }
  } catch (error) {
    stop(error)
  }
}
