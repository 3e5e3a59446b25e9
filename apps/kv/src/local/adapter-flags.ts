/** Which adapters the members of a local cluster run on: handed on to `serve`, which knows them and the defaults. */
export const adapterOptions = {
  storage: { type: 'string' },
  transport: { type: 'string' },
  tls: { type: 'boolean', default: false },
} as const

export const adapterUsage = '[--storage wal|level] [--transport tcp|grpc|ws] [--tls]'

export function adapterFlags({ storage, transport }: { storage?: string; transport?: string }): string[] {
  return [...(storage ? ['--storage', storage] : []), ...(transport ? ['--transport', transport] : [])]
}
