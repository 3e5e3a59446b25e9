import type { Part } from './harness/part.ts'

/** In the order of `bench all`. A new part is a folder and a line here. */
export const parts: Readonly<Record<string, () => Promise<Part>>> = {
  calibrate: async () => (await import('./calibrate/part.ts')).calibrate,
  core: async () => (await import('./core/part.ts')).core,
  storage: async () => (await import('./storage/part.ts')).storage,
  transport: async () => (await import('./transport/part.ts')).transport,
  cluster: async () => (await import('./cluster/part.ts')).cluster,
  bft: async () => (await import('./bft/part.ts')).bft,
  recovery: async () => (await import('./recovery/part.ts')).recovery,
  idle: async () => (await import('./idle/part.ts')).idle,
  soak: async () => (await import('./soak/part.ts')).soak,
}
