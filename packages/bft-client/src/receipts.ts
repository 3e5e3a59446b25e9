import { checkSignatures, type Proven, readReceipt, type Trust } from '@raftkit/bft'
import type { Signatures } from '@raftkit/contract'

export interface ReceiptOptions extends Trust {
  readonly signatures: Pick<Signatures, 'verify'>
}

/** A receipt, and what it proves. Keep the bytes: whoever has the members' public keys can verify them again, without asking anybody. */
export interface ProvenReceipt {
  readonly bytes: Uint8Array
  readonly proven: Proven
}

/** Verifies receipts offline. Rejects `REFUSED` with the reason, or `MALFORMED` or `UNKNOWN_FORMAT`. */
export function receiptVerifier({ signatures, ...trust }: ReceiptOptions): (bytes: Uint8Array) => Promise<Proven> {
  return async (bytes) => {
    const { proven, checks } = readReceipt(bytes, trust)
    checkSignatures(proven, await signatures.verify(checks))
    return proven
  }
}
