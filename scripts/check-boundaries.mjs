// @ts-check
// Part of `npm run lint`: imports point down, and what is called pure is pure.
import { findings } from './boundaries.mjs'
import { readWorkspace } from './workspace.mjs'

const workspace = readWorkspace()
const found = findings(workspace)
for (const finding of found) console.error(finding)
console.log(`boundaries: ${workspace.length} packages, ${found.length} findings`)
process.exitCode = found.length > 0 ? 1 : 0
