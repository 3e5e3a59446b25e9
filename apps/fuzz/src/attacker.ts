import { besiege, type Strength, type Target } from './siege/attacks.ts'

// A process of its own, since a process may have only so many files: told what to do by its arguments, it tells how it stands once a second.
const { targets, plan } = JSON.parse(process.argv[2]!) as {
  readonly targets: readonly Target[]
  readonly plan: Readonly<Record<string, { readonly count: number; readonly perSecond: number }>>
}
const under = Object.entries(plan).map(
  ([name, { count, perSecond }]) => [name, besiege(name, targets, count, perSecond)] as const,
)
const timer = setInterval(() => {
  process.send?.(
    Object.fromEntries(under.map(([name, { strength }]) => [name, strength])) satisfies Record<string, Strength>,
    // Whoever asked may be gone.
    () => {},
  )
}, 500)
process.on('disconnect', () => {
  clearInterval(timer)
  for (const [, { stop }] of under) stop()
  process.exit()
})
