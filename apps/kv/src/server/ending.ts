/** A member ends once, well or not. */
export interface Ending {
  /** Whoever awaits it learns how; nobody has to. */
  readonly ended: Promise<void>
  well(): void
  badly(error: Error): void
}

export function ending(): Ending {
  let end: { resolve: () => void; reject: (error: Error) => void }
  const ended = new Promise<void>((resolve, reject) => {
    end = { resolve, reject }
  })
  ended.catch(() => {})
  return { ended, well: () => end.resolve(), badly: (error) => end.reject(error) }
}
