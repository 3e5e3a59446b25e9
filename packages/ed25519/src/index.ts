/** Ed25519 for protocols whose members sign: one rule of verifying, keys in files, and the digest that goes with it. */
export { admitKey, publicKey } from './admission.ts'
export { generateKey, type PrivateKey, readKey, writeKey } from './key.ts'
export { sha256 } from './sha256.ts'
export { ed25519, sign, type VerifierOptions, verifier, verifyHere } from './signatures.ts'
