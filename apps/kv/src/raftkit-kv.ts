#!/usr/bin/env node
import { run } from './client/command-line.ts'

// A second signal comes when npm passes on a Ctrl-C that the terminal sent as well: it must not cut the first one short.
const interruption = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interruption.abort())

const { stdin, stdout, stderr, env } = process
// A reader that has seen enough (`| head`) is no failure.
stdout.on('error', () => interruption.abort())
process.exitCode = await run(process.argv.slice(2), { stdin, stdout, stderr, env, interrupted: interruption.signal })
