/**
 * The client that a certificate names: `raft://CLUSTER/NAME` and `urn:raftkit:role:client`, each once and as a URI, as `raftkit-certificates client`
 * writes them. `subjectAltName`: as Node shows it, where a value that could be taken for several stands in quotes; one with quotes is none of ours.
 */
export function certifiedName(subjectAltName: string | undefined, cluster: string): string | undefined {
  if (subjectAltName === undefined || subjectAltName.includes('"')) return
  const uris = subjectAltName.split(', ').flatMap((entry) => (entry.startsWith('URI:') ? [entry.slice(4)] : []))
  const names = uris.filter((uri) => uri.startsWith('raft://'))
  const prefix = `raft://${cluster}/`
  if (names.length !== 1 || !names[0]!.startsWith(prefix)) return
  // A certificate of a node is none of a client, also if it says that it is both.
  const claimed = uris.filter((uri) => uri.startsWith('urn:raftkit:role:'))
  if (claimed.length !== 1 || claimed[0] !== 'urn:raftkit:role:client') return
  return names[0]!.slice(prefix.length)
}
