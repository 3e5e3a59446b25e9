#!/usr/bin/env node
import { run } from './client/command-line.ts'
import { runAsProgram } from './client/program.ts'

await runAsProgram(run)
