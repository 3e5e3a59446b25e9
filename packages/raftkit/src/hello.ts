import { fromHex, Reader, toHex, Writer } from '@raftkit/bytes'
import { type NodeId, RaftkitError } from '@raftkit/contract'
import { isName, nameRule } from './names.ts'

/*
 * What two hosts tell each other first, on every connection, little-endian:
 *
 *   u8 format · text cluster · text node · 16 bytes incarnation · 16 bytes genesis (zero: none yet) · text protocol · u32 machine version
 */
const helloFormat = 1

export interface Hello {
  readonly cluster: string
  readonly node: NodeId
  /** 32 hex digits. */
  readonly incarnation: string
  /** 32 hex digits, or '' before founding. */
  readonly genesis: string
  readonly protocol: string
  readonly machineVersion: number
}

export function encodeHello(hello: Hello): Uint8Array {
  return new Writer(128)
    .u8(helloFormat)
    .text(hello.cluster)
    .text(hello.node)
    .raw(identity(hello.incarnation))
    .raw(identity(hello.genesis))
    .text(hello.protocol)
    .u32(hello.machineVersion)
    .finish()
}

/** Throws `MALFORMED` or `UNKNOWN_FORMAT`. */
export function decodeHello(bytes: Uint8Array): Hello {
  const reader = new Reader(bytes)
  const format = reader.u8()
  if (format !== helloFormat)
    throw new RaftkitError('UNKNOWN_FORMAT', `a hello of format ${format}; this version reads ${helloFormat}`)
  const hello = {
    cluster: name(reader),
    node: name(reader),
    incarnation: identityText(reader.raw(16)),
    genesis: identityText(reader.raw(16)),
    protocol: name(reader),
    machineVersion: reader.u32(),
  }
  reader.end()
  if (hello.incarnation === '') throw new RaftkitError('MALFORMED', 'a hello without an incarnation')
  return hello
}

/**
 * Who the other side of a connection is. One check for every transport: throws `REFUSED` for whoever must not be listened to.
 * `proven` are the names in the peer's certificate, if the connection has one: among them must be, each exactly, `raft://<cluster>/<node>`,
 * so that nobody speaks for another, and the role of a peer, so that no certificate that was meant for something else will do.
 * `expects`: whether a node that belongs to no cluster yet has a place in this one.
 */
export function admit(
  bytes: Uint8Array,
  own: Hello,
  proven: readonly string[] | undefined,
  expects: (node: NodeId) => boolean,
): Hello {
  let hello: Hello
  try {
    hello = decodeHello(bytes)
  } catch (cause) {
    throw new RaftkitError('REFUSED', `what came first is no hello of a Raftkit node: ${(cause as Error).message}`, {
      cause,
    })
  }
  const { cluster, node, genesis, protocol } = hello
  const refuse = (why: string): never => {
    throw new RaftkitError('REFUSED', `${node} of cluster ${cluster} is refused: ${why}`)
  }
  if (cluster !== own.cluster) refuse(`this is cluster ${own.cluster}; one of the two has a wrong address`)
  if (node === own.node) refuse(`${own.node} is this node's own id; no two nodes may share one`)
  if (protocol !== own.protocol) refuse(`it speaks ${protocol}, this node ${own.protocol}`)
  if (genesis !== '' && own.genesis !== '' && genesis !== own.genesis)
    refuse('it belongs to another founding of a cluster of this name; its data, or ours, is of another one')
  // Whoever has the genesis was a member once, and may be one that we have not heard of yet: the leader of a later configuration.
  if (genesis === '' && own.genesis !== '' && !expects(node))
    refuse('no configuration lists it, and nobody here is adding it; start it with join: true, and add it by a member')
  if (proven) {
    const wanted = `raft://${cluster}/${node}`
    if (!proven.includes(wanted)) refuse(`its certificate does not name ${wanted}, but ${listed(proven, 'raft://')}`)
    if (!proven.includes(peerRole))
      refuse(`its certificate is not for a peer: it does not name ${peerRole}, but ${listed(proven, rolePrefix)}`)
  }
  return hello
}

const rolePrefix = 'urn:raftkit:role:'
const peerRole = `${rolePrefix}peer`

function listed(names: readonly string[], prefix: string): string {
  return names.filter((each) => each.startsWith(prefix)).join(' and ') || 'none of that kind'
}

/** The same few identities stand in every frame: the ones seen last, in both forms. */
const known: { readonly text: string; readonly bytes: Uint8Array }[] = [{ text: '', bytes: new Uint8Array(16) }]
const knownCount = 32
let replaced = 0

/** 16 bytes of a 32-digit identity; zero for ''. */
export function identity(hex: string): Uint8Array {
  for (const { text, bytes } of known) if (text === hex) return bytes
  return remember(hex, fromHex(hex)).bytes
}

export function identityText(bytes: Uint8Array): string {
  for (const each of known) if (isEqual(each.bytes, bytes)) return each.text
  return remember(toHex(bytes), new Uint8Array(bytes)).text
}

function remember(text: string, bytes: Uint8Array): (typeof known)[number] {
  const identity = { text, bytes }
  if (known.length < knownCount) known.push(identity)
  else known[1 + (replaced++ % (knownCount - 1))] = identity // '' stays
  return identity
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < 16; i++) if (a[i] !== b[i]) return false
  return true
}

function name(reader: Reader): string {
  const text = reader.text(64)
  if (!isName(text)) throw new RaftkitError('MALFORMED', `a name in a hello is not ${nameRule}`)
  return text
}
