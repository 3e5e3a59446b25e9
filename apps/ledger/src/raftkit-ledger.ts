#!/usr/bin/env node
import { runAsProgram } from '@raftkit/app-kv'
import { run } from './command/command-line.ts'

await runAsProgram(run)
