/** What we use of a server of `node:http` or `node:https`. */
export interface UpgradeServer {
  readonly listening: boolean
  address(): unknown
  on(event: 'upgrade', run: (...of: unknown[]) => void): unknown
  off(event: 'upgrade', run: (...of: unknown[]) => void): unknown
  listenerCount(event: 'upgrade'): number
}
