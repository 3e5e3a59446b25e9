import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const root = fileURLToPath(new URL('.', import.meta.url))
const folders = ['packages', 'apps'].flatMap((parent) => readdirSync(root + parent).map((name) => `${parent}/${name}`))
const projects = [...folders, 'scripts'].filter((folder) => existsSync(`${root}${folder}/test`))

export default defineConfig({
  resolve: {
    // Tests run the sources of every package, so that the inner loop needs no build.
    alias: [
      { find: /^raftkit$/, replacement: `${root}packages/raftkit/src/index.ts` },
      { find: /^@raftkit\/app-([^/]+)$/, replacement: `${root}apps/$1/src/index.ts` },
      { find: /^@raftkit\/([^/]+)$/, replacement: `${root}packages/$1/src/index.ts` },
    ],
  },
  test: {
    projects: projects.map((folder) => ({
      extends: true,
      test: { name: folder.replace('packages/', ''), root: root + folder, include: ['test/**/*.test.ts'] },
    })),
    passWithNoTests: true,
    // A test that hangs fails; one that a busy machine makes slow does not.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Most tests wait for disks, sockets and other processes: by itself vitest would leave one of two cores idle.
    maxWorkers: 2,
  },
})
