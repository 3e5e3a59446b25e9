// @ts-check
// Publishing without publishing: packs every public package, checks each tarball, and uses them all from an empty project
// as a stranger would; so are the templates of adapters, which must pass the compliance suites there. `--nodes 20,22` chooses the versions
// of Node that run the programs, `--keep` leaves the project there.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { checkTypes, compile, installConsumer } from './publish/consumer.mjs'
import { countersOn, findNode, runCounters, runThreeNodes } from './publish/runs.mjs'
import { attw, inspect, pack, publint } from './publish/tarballs.mjs'
import { runTemplate } from './publish/templates.mjs'
import { readWorkspace, root } from './workspace.mjs'

const { values } = parseArgs({
  options: { nodes: { type: 'string', default: '20,22,24,26' }, keep: { type: 'boolean', default: false } },
})
const work = mkdtempSync(join(tmpdir(), 'raftkit-publish-'))
try {
  const packages = readWorkspace().filter(({ manifest }) => !manifest.private)
  const tarballs = []
  for (const p of packages) {
    const tarball = await pack(p, work)
    tarballs.push(tarball)
    await Promise.all([inspect(p, tarball), publint(tarball), attw(p, tarball)])
    console.log(`tarball  ${tarball.name}`)
  }

  const consumer = join(work, 'consumer')
  await installConsumer(consumer, tarballs)
  console.log(`install  ${tarballs.length} tarballs into an empty project`)
  const counters = readFileSync(join(root, 'apps/counters/src/counters.ts'), 'utf8')
  for (const [adapters, others] of Object.entries(countersOn)) {
    const program = Object.entries(others).reduce((code, [one, other]) => code.replaceAll(one, other), counters)
    writeFileSync(join(consumer, `counters-${adapters}.ts`), program)
  }
  cpSync(join(root, 'scripts/publish/three-nodes.ts'), join(consumer, 'three-nodes.ts'))
  const sources = ['three-nodes.ts', ...Object.keys(countersOn).map((adapters) => `counters-${adapters}.ts`)]
  const types = await checkTypes(consumer, tarballs, sources, (what) => console.log(`types    ${what}`))

  await compile(consumer, sources)
  const runs = []
  for (const major of values.nodes.split(',').filter(Boolean)) {
    const node = await findNode(major)
    const programs = [
      () => runThreeNodes(consumer, node),
      ...Object.keys(countersOn).map((adapters) => () => runCounters(consumer, node, adapters)),
    ]
    for (const program of programs) {
      const finished = await program()
      runs.push(finished)
      console.log(`run      Node ${finished.node}, ${finished.program}, ${finished.milliseconds} ms`)
    }
  }

  const templates = []
  for (const template of ['storage', 'transport'])
    for (const passed of await runTemplate(template, consumer, join(work, template), tarballs)) {
      templates.push(passed)
      const { runner, passed: tests, skipped, milliseconds } = passed
      console.log(`template ${template} under ${runner}, ${tests} tests, ${skipped} skipped, ${milliseconds} ms`)
    }
  const checked = tarballs.length
  console.log(JSON.stringify({ packages: packages.length, publint: checked, attw: checked, types, runs, templates }))
} finally {
  if (values.keep) console.log(`left in ${work}`)
  else rmSync(work, { recursive: true, force: true })
}
