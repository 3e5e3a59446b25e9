import { createHash, randomInt } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { hangUp } from '@raftkit/app-kv'
import { History } from './clients/history.ts'
import { type Family, families, schedule } from './faults/schedule.ts'
import { inNamespace, isInside } from './namespace.ts'
import { open, type Storm, storm } from './storm.ts'
import { judge } from './verdict/verdict.ts'

const usage = `usage: chaos [--seconds 60] [--seed N] [--members 3|5] [--keep]
Clusters of real processes under clients and faults. Without --members, half of the time is for each size.
--keep leaves history and logs in .tmp/chaos/<seed> although nothing is wrong.`

function readArguments(): { seconds: number; seed: string; sizes: number[]; keep: boolean } {
  try {
    const { values } = parseArgs({
      options: {
        seconds: { type: 'string', default: '60' },
        seed: { type: 'string' },
        members: { type: 'string' },
        keep: { type: 'boolean', default: false },
      },
    })
    const seconds = Number(values.seconds)
    if (!(seconds >= 1 && seconds <= 86_400)) throw new Error('--seconds is 1 to 86400')
    const seed = values.seed ?? String(randomInt(2 ** 31))
    if (!/^[0-9a-z-]{1,40}$/i.test(seed)) throw new Error('--seed is a number, or letters, digits and dashes')
    if (values.members !== undefined && !['3', '5'].includes(values.members)) throw new Error('--members is 3 or 5')
    return { seconds, seed, sizes: values.members === undefined ? [3, 5] : [Number(values.members)], keep: values.keep }
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`)
    process.exit(2)
  }
}

/** Tells that the same seed gave the same faults. */
function scheduleHash(seed: string): string {
  const hash = createHash('sha256')
  for (const family of Object.keys(families) as Family[]) {
    let count = 0
    for (const { kind, rest, lasts, draws } of schedule(seed, family)) {
      hash.update(`${kind} ${rest} ${lasts} ${draws.next()};`)
      if (++count === 100) break
    }
  }
  return hash.digest('hex').slice(0, 16)
}

async function run(): Promise<void> {
  const { seconds, seed, sizes, keep } = readArguments()
  const directory = join('.tmp', 'chaos', seed)
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  const started = performance.now()
  const say = (line: string) =>
    console.error(`${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s  ${line}`)

  const leave = (): void => {
    void Promise.all([...open].map((cluster) => cluster.close())).finally(() => {
      rmSync(directory, { recursive: true, force: true })
      process.exit(130)
    })
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, leave)
  if (isInside()) process.on('disconnect', leave).on('message', leave)

  say(
    `seed ${seed}: ${sizes.join(' and ')} members, ${seconds} s; again by: npm run chaos -- --seconds ${seconds} --seed ${seed}`,
  )
  say(`schedule of the faults: ${sizes.map((size) => scheduleHash(`${seed}/${size}`)).join(' ')}`)
  const history = new History(join(directory, 'history.ndjson'))
  const storms: Storm[] = []
  for (const size of sizes) {
    const place = join(directory, `of-${size}`)
    mkdirSync(place)
    storms.push(
      await storm({ size, milliseconds: (seconds * 1000) / sizes.length, seed, directory: place, history, say }),
    )
  }
  await history.close()
  hangUp()
  const { result, wrong } = judge({ seconds, members: sizes, operations: history.operations, storms })
  for (const { passed, size } of storms)
    if (passed.size > 0)
      say(`${size} members, due but not possible then: ${[...passed].map((pair) => pair.join(' ')).join(', ')}`)
  if (wrong.length > 0) {
    for (const line of wrong.slice(0, 40)) say(`WRONG: ${line}`)
    say(
      `kept in ${directory}: history.ndjson, and per size faults.ndjson, watches.ndjson, each member's log.txt and store`,
    )
    say(`to look: npm run linearizability -- --html ${join(directory, 'history.html')} < ${history.file}`)
  } else if (!keep) {
    rmSync(directory, { recursive: true, force: true })
  }
  console.log(JSON.stringify(result))
  process.exit(wrong.length > 0 ? 1 : 0)
}

if (inNamespace() === undefined) await run()
