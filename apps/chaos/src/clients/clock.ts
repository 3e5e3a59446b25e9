const start = process.hrtime.bigint()

/** Nanoseconds since this process began, on the machine's monotonic clock. */
export const now = (): number => Number(process.hrtime.bigint() - start)
