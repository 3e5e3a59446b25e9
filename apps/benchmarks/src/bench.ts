import { runCase } from './harness/case.ts'
import { command } from './harness/command.ts'
import { parts } from './parts.ts'
import { report } from './report/report.ts'

// A case's process loads its own part alone.
if (process.argv[2] === '--case') {
  await runCase(async (name) => parts[name]!())
} else {
  const all = await Promise.all(Object.values(parts).map((load) => load()))
  // A part that failed may have left timers and sockets behind.
  process.exit(await command(process.argv.slice(2), all, () => report(all)))
}
