#!/usr/bin/env node
import { run } from './command.ts'

// A reader that has seen enough (`| head`) is no failure.
process.stdout.on('error', () => process.exit(0))

process.exitCode = await run(process.argv.slice(2), console.log, console.error)
