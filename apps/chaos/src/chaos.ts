import { createHash, randomInt } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { hangUp } from '@raftkit/app-kv'
import { straceMissing } from '@raftkit/compliance'
import { type Adapters, isStorage, isTransport, storages, transports } from './adapters.ts'
import { History } from './clients/history.ts'
import { type Family, families, schedule } from './faults/schedule.ts'
import { inNamespace, isInside } from './namespace.ts'
import { open } from './observation.ts'
import { powerCuts } from './power/cuts.ts'
import { type Storm, storm } from './storm.ts'
import { judgePowerCuts } from './verdict/power-cuts.ts'
import { judgeStorms } from './verdict/storms.ts'

const usage = `usage: chaos [--seconds 60] [--seed N] [--members 3|5] [--storage wal|level] [--transport tcp|grpc|ws] [--tls] [--keep]
       chaos --power-cuts N [--seed N] [--members 3|5] [--storage wal|level] [--transport tcp|grpc|ws] [--tls] [--keep]
Clusters of real processes under clients and faults. Without --members, half of the time is for each size.
--power-cuts: instead, all members lose power at one moment, N times (3 members unless told).
--keep leaves history and logs in .tmp/chaos/<seed> although nothing is wrong.`

interface Arguments {
  readonly seconds: number
  readonly cuts: number | undefined
  readonly seed: string
  readonly size: 3 | 5 | undefined
  readonly adapters: Adapters
  readonly keep: boolean
}

function readArguments(): Arguments {
  try {
    const { values } = parseArgs({
      options: {
        seconds: { type: 'string' },
        'power-cuts': { type: 'string' },
        seed: { type: 'string', default: String(randomInt(2 ** 31)) },
        members: { type: 'string' },
        storage: { type: 'string', default: 'wal' },
        transport: { type: 'string', default: 'tcp' },
        tls: { type: 'boolean', default: false },
        keep: { type: 'boolean', default: false },
      },
    })
    const { seed, members, storage, transport, tls, keep } = values
    if (values.seconds !== undefined && values['power-cuts'] !== undefined)
      throw new Error('--power-cuts is a run of its own: no --seconds')
    const seconds = Number(values.seconds ?? 60)
    if (!(seconds >= 1 && seconds <= 86_400)) throw new Error('--seconds is 1 to 86400')
    const cuts = values['power-cuts'] === undefined ? undefined : Number(values['power-cuts'])
    if (cuts !== undefined && !(Number.isInteger(cuts) && cuts >= 1 && cuts <= 100_000))
      throw new Error('--power-cuts is 1 to 100000')
    if (!/^[0-9a-z-]{1,40}$/i.test(seed)) throw new Error('--seed is a number, or letters, digits and dashes')
    if (members !== undefined && members !== '3' && members !== '5') throw new Error('--members is 3 or 5')
    if (!isStorage(storage)) throw new Error(`--storage is ${Object.keys(storages).join(' or ')}`)
    if (!isTransport(transport)) throw new Error(`--transport is ${Object.keys(transports).join(' or ')}`)
    const size = members === undefined ? undefined : members === '3' ? 3 : 5
    return { seconds, cuts, seed, size, adapters: { storage, transport, tls }, keep }
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

interface Running extends Arguments {
  readonly directory: string
  readonly history: History
  readonly say: (line: string) => void
}

interface Ended {
  readonly result: object
  readonly wrong: readonly string[]
}

async function runStorms({ seconds, size, ...running }: Running): Promise<Ended> {
  const { seed, adapters, history, directory, say } = running
  const sizes = size === undefined ? [3, 5] : [size]
  say(`${sizes.join(' and ')} members, ${seconds} s`)
  say(`schedule of the faults: ${sizes.map((size) => scheduleHash(`${seed}/${size}`)).join(' ')}`)
  const storms: Storm[] = []
  for (const size of sizes) {
    const place = join(directory, `of-${size}`)
    mkdirSync(place)
    storms.push(await storm({ ...running, size, milliseconds: (seconds * 1000) / sizes.length, directory: place }))
  }
  await history.close()
  for (const { passed, size } of storms)
    if (passed.size > 0)
      say(`${size} members, due but not possible then: ${[...passed].map((pair) => pair.join(' ')).join(', ')}`)
  return judgeStorms(seconds, adapters, history.operations, storms)
}

async function runPowerCuts({ size = 3, ...running }: Running, cuts: number): Promise<Ended> {
  const { adapters, history, say } = running
  const missing = straceMissing()
  if (missing !== undefined) throw new Error(`power cuts are worked out from system calls, but ${missing}`)
  say(`${size} members, ${cuts} power cuts`)
  const seen = await powerCuts({ ...running, size, cuts })
  await history.close()
  return judgePowerCuts(cuts, size, adapters, history.operations, seen)
}

async function run(): Promise<void> {
  const given = readArguments()
  const { seed, cuts, adapters, keep } = given
  const directory = join('.tmp', 'chaos', seed)
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  const started = performance.now()
  const say = (line: string) =>
    console.error(`${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s  ${line}`)

  let leaving = false
  const leave = (): void => {
    if (leaving) return
    leaving = true
    void Promise.all([...open].map((cluster) => cluster.close())).finally(() => {
      rmSync(directory, { recursive: true, force: true })
      process.exit(130)
    })
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, leave)
  if (isInside()) process.on('disconnect', leave).on('message', leave)

  say(`seed ${seed}, ${adapters.storage} and ${adapters.transport}${adapters.tls ? ' over TLS' : ''}`)
  const history = new History(join(directory, 'history.ndjson'))
  const running = { ...given, directory, history, say }
  const { result, wrong } = await (cuts === undefined ? runStorms(running) : runPowerCuts(running, cuts)).catch(
    // Once it is being ended from outside, whatever fails fails for that.
    (error: unknown) => (leaving ? new Promise<never>(() => {}) : Promise.reject(error)),
  )
  hangUp()
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
