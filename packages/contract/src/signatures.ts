/** A signature to be verified: whether `key` signed `bytes`. */
export interface SignatureCheck {
  readonly key: Uint8Array
  readonly bytes: Uint8Array
  readonly signature: Uint8Array
}

/**
 * A node's own key, and the one rule by which all members verify: two that judge the same bytes differently may disagree for ever about what
 * was agreed on. Neither rejects for what a liar may have made up: that is no signature. A rejection stops the replica.
 */
export interface Signatures {
  /** The public key, as others know this node by. */
  readonly key: Uint8Array
  sign(bytes: Uint8Array): Uint8Array | Promise<Uint8Array>
  /** One flag per check, in order. */
  verify(checks: readonly SignatureCheck[]): readonly boolean[] | Promise<readonly boolean[]>
}
