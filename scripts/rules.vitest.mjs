// @ts-check
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import workspace from '../vitest.config.ts'

/** @type {readonly { file: string, find: string, put: string }[]} Files from the root of the file system; empty: nothing is broken */
// biome-ignore lint/suspicious/noUndeclaredEnvVars: set by mutate-rules.mjs and mutants.mjs, which turbo does not run
const changes = JSON.parse(process.env.RAFTKIT_MUTATION ?? '[]')

/** The workspace's tests, with sources changed as they are loaded. Used by mutate-rules.mjs and mutants.mjs. */
export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  resolve: workspace.resolve ?? {},
  plugins: [
    {
      name: 'break-a-rule',
      enforce: 'pre',
      load(id) {
        const own = changes.filter(({ file }) => file === id)
        if (own.length === 0) return undefined
        return own.reduce((text, { find, put }) => text.replace(find, () => put), readFileSync(id, 'utf8'))
      },
    },
  ],
  // A test that is late on a busy machine is no bug that was noticed.
  test: { include: ['packages/*/test/**/*.test.ts'], testTimeout: 60_000 },
})
