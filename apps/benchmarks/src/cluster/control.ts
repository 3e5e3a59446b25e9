import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Sample } from '../harness/part.ts'
import type { System, Work } from './systems/system.ts'
import { shape } from './systems/system.ts'
import { putMessage } from './wire/grpc.ts'
import { defaultKeys, keyOf, randomKeys, randomValue, valueBytes } from './wire/keys.ts'
import type { WirePlan } from './wire/wire.ts'

// The same load by h2load (nghttp2), which others know: it shows that our generator is not what bounds either of the servers.

/** Puts by h2load. It can send one body for a process: to etcd one key, to kv as many as there are paths. */
export async function control(
  system: System,
  kind: WirePlan['kind'],
  directory: string,
  { outstanding, seconds, warmUp }: Pick<Work, 'outstanding' | 'seconds' | 'warmUp'>,
): Promise<Sample> {
  const connections = shape(kind, outstanding)
  const body = join(directory, 'h2load.body')
  const paths = join(directory, 'h2load.paths')
  const origin = `http://127.0.0.1:${await system.port!()}`
  const of = ['-t', '1', '-c', connections, '-m', Math.ceil(outstanding / connections), '-d', body]
  const time = ['-D', Math.max(1, Math.round(seconds)), '--warm-up-time', Math.max(1, Math.round(warmUp))]
  if (kind === 'grpc') {
    writeFileSync(body, putMessage(keyOf(0), valueBytes))
    const headers = ['-H', 'content-type: application/grpc', '-H', 'te: trailers']
    return read(await run([...of, ...time, ...headers, `${origin}/etcdserverpb.KV/Put`]))
  }
  writeFileSync(body, JSON.stringify({ value: randomValue(valueBytes) }))
  const key = randomKeys(defaultKeys)
  writeFileSync(paths, Array.from({ length: 20_000 }, () => `${origin}/v1/kv/${keyOf(key())}\n`).join(''))
  const headers = ['-H', 'content-type: application/json', '-H', ':method: PUT']
  return read(await run([...of, ...time, ...headers, '--h1', '-i', paths]))
}

function run(args: readonly (string | number)[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('h2load', args.map(String), { stdio: ['ignore', 'pipe', 'pipe'] })
    const end = () => child.kill('SIGKILL')
    process.prependListener('exit', end)
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text))
    child.on('error', reject)
    child.on('close', (code) => {
      process.off('exit', end)
      if (code === 0) resolve(said)
      else reject(new Error(`h2load ended with ${code}: ${said.slice(-300)}`))
    })
  })
}

/** `finished in 3.00s, 7013.67 req/s, …`, `requests: … 21041 succeeded, 0 failed`, `status codes: 21041 2xx`. */
function read(said: string): Sample {
  const number = (pattern: RegExp) => Number(pattern.exec(said)?.[1] ?? Number.NaN)
  const perSecond = number(/finished in [^,]+, ([\d.]+) req\/s/)
  const failed = number(/, (\d+) failed/) + number(/, (\d+) 4xx/) + number(/, (\d+) 5xx/)
  if (!(perSecond > 0) || failed > 0) throw new Error(`h2load: ${failed} failed\n${said.slice(0, 800)}`)
  return { perSecond }
}
