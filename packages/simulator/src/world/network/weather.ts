/** How one direction of a link behaves. Chances are per packet. */
export interface Weather {
  /** Milliseconds, drawn between the two. */
  readonly delay: readonly [number, number]
  readonly loss: number
  readonly duplicate: number
  /** An old packet comes once more, up to `late` milliseconds later, whatever connection it belonged to. */
  readonly replay: number
  /** It takes up to `late` milliseconds longer, and those behind it pass. */
  readonly reorder: number
  readonly late: number
  readonly bytesPerMs: number
}

export const fairWeather: Weather = {
  delay: [0.2, 1],
  loss: 0,
  duplicate: 0,
  replay: 0,
  reorder: 0,
  late: 200,
  bytesPerMs: Number.POSITIVE_INFINITY,
}
