// @ts-check
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import workspace from '../vitest.config.ts'

/** @type {{ file: string, find: string, put: string }} */
// biome-ignore lint/suspicious/noUndeclaredEnvVars: set by mutate-rules.mjs, which turbo does not run
const { file, find, put } = JSON.parse(process.env.RAFTKIT_MUTATION ?? '')

/** The workspace's tests, with one line of one source broken as it is loaded. Used by mutate-rules.mjs. */
export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  resolve: workspace.resolve ?? {},
  plugins: [
    {
      name: 'break-a-rule',
      enforce: 'pre',
      load(id) {
        return id === file ? readFileSync(file, 'utf8').replace(find, () => put) : undefined
      },
    },
  ],
  test: { include: ['packages/*/test/**/*.test.ts'] },
})
