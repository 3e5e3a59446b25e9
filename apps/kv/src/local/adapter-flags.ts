/** Which adapters the members of a local cluster run on: handed on to `serve`, which knows them and the defaults. */
export const adapterOptions = { storage: { type: 'string' }, transport: { type: 'string' } } as const

export function adapterFlags({ storage, transport }: { storage?: string; transport?: string }): string[] {
  return [...(storage ? ['--storage', storage] : []), ...(transport ? ['--transport', transport] : [])]
}
