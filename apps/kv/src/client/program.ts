import type { Readable, Writable } from 'node:stream'
import { type Command, CommanderError } from 'commander'
import { exitCodes } from './exit.ts'

/** The world around one run of a command. */
export interface Surroundings {
  readonly stdin: Readable
  /** Data. */
  readonly stdout: Writable
  /** Talk. */
  readonly stderr: Writable
  readonly env: Readonly<Record<string, string | undefined>>
  /** The person wants it to end. */
  readonly interrupted: AbortSignal
}

/** Runs a command line as this process, which ends with the exit code that `run` resolves with. */
export async function runAsProgram(
  run: (args: readonly string[], around: Surroundings) => Promise<number>,
): Promise<void> {
  // A second signal comes when npm passes on a Ctrl-C that the terminal sent as well: it must not cut the first one short.
  const interruption = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interruption.abort())

  const { stdin, stdout, stderr, env } = process
  // A reader that has seen enough (`| head`) is no failure.
  stdout.on('error', () => interruption.abort())
  process.exitCode = await run(process.argv.slice(2), { stdin, stdout, stderr, env, interrupted: interruption.signal })
}

/** Carries one command line out and resolves with the exit code: `exitCodeOf` what went wrong, but for a wrong command line. */
export async function runCommand(
  program: Command,
  args: readonly string[],
  around: Surroundings,
  exitCodeOf: (error: unknown) => number,
): Promise<number> {
  contain(program, around)
  try {
    await program.parseAsync([...args], { from: 'user' })
    return exitCodes.ok
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
    return exitCodeOf(error)
  }
}

/** Neither ends the process nor writes to it: what this command and those below it say goes to `around`. */
function contain(command: Command, around: Surroundings): void {
  command.exitOverride().configureOutput({
    writeOut: (text) => void around.stdout.write(text),
    writeErr: (text) => void around.stderr.write(text),
  })
  for (const child of command.commands) contain(child, around)
}

/** Until the person wants it to end, or whoever started it is gone (`untilStdinEnds`), or it ends by itself. */
export async function untilEnded(
  { stop, ended }: { readonly stop: () => Promise<void>; readonly ended: Promise<void> },
  { stdin, interrupted }: Surroundings,
  untilStdinEnds: boolean,
): Promise<void> {
  const leave = () => void stop()
  interrupted.addEventListener('abort', leave)
  if (interrupted.aborted) leave()
  if (untilStdinEnds) stdin.on('end', leave).resume()
  await ended.finally(() => stdin.destroy())
}
