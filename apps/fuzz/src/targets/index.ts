import type { Target } from './target.ts'

/** Every parser that bytes of others reach. Loaded when it is its turn. */
export const targets: Readonly<Record<string, () => Promise<Target>>> = {
  value: async () => (await import('./value.ts')).value,
  hex: async () => (await import('./value.ts')).hex,
  record: async () => (await import('./record.ts')).record,
  log: async () => (await import('./record.ts')).log,
  message: async () => (await import('./protocol.ts')).message,
  state: async () => (await import('./protocol.ts')).state,
  frame: async () => (await import('./frame.ts')).frame,
  hello: async () => (await import('./frame.ts')).hello,
  entry: async () => (await import('./machine.ts')).entry,
  snapshot: async () => (await import('./machine.ts')).snapshot,
  'snapshot-file': async () => (await import('./machine.ts')).snapshotFile,
  result: async () => (await import('./machine.ts')).result,
  wal: async () => (await import('./storage.ts')).wal,
  snapshots: async () => (await import('./storage.ts')).snapshots,
  tcp: async () => (await import('./sockets.ts')).tcp,
  grpc: async () => (await import('./sockets.ts')).grpc,
  ws: async () => (await import('./sockets.ts')).ws,
  http: async () => (await import('./http.ts')).http,
  history: async () => (await import('./text.ts')).history,
  trace: async () => (await import('./text.ts')).trace,
}
