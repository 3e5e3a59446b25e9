export async function until(condition: () => boolean, what: () => string = () => String(condition)): Promise<void> {
  const patience = Date.now() + 20_000
  while (!condition()) {
    if (Date.now() > patience) throw new Error(`this never came true: ${what()}`)
    await wait(2)
  }
}

/** Time for what must not happen to happen. */
export async function wait(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms))
}
