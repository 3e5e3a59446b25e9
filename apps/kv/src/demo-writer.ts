import { writeFile } from 'node:fs/promises'
import { CallFailed, Client, keyPath } from './client/client.ts'
import { credentials } from './client/credentials.ts'
import { Dialer } from './client/exchange.ts'

// A client process of the demo: appends unique items to shared keys until it is told to stop, then writes down what became of each.
// An append whose fate is unknown is never sent again: it is written down as unknown.

const [name = '', journal = '', endpointList = '', credentialFiles = '{}', lanes, keys] = process.argv.slice(2)
const endpoints = endpointList.split(',')
const dialer = new Dialer(credentials(JSON.parse(credentialFiles), {}))

const acknowledged: string[] = []
const unknown: string[] = []
let refused = 0
let next = 0
let stopping = false

async function lane(number: number): Promise<void> {
  // Each lane begins at another member: all of them serve writes.
  const order = endpoints.map((_, at) => endpoints[(at + number) % endpoints.length]!)
  const client = new Client({ endpoints: order, timeout: 20_000, dialer })
  while (!stopping) {
    const item = `${name}-${next++}`
    const path = keyPath(`demo/${next % Number(keys)}`, 'append')
    try {
      await client.call({ method: 'POST', path, body: { value: `${item};` } })
      acknowledged.push(item)
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error
      if (error.outcome === 'unknown') unknown.push(item)
      else refused++
    }
  }
}

const report = setInterval(() => process.send?.({ acknowledged: acknowledged.length, unknown: unknown.length }), 50)
const stop = () => {
  stopping = true
}
process.on('message', stop)
// The demo is gone: so are we.
process.on('disconnect', stop)
await Promise.all(Array.from({ length: Number(lanes) }, (_, number) => lane(number)))
clearInterval(report)
await writeFile(journal, JSON.stringify({ acknowledged, unknown, refused }))
dialer.hangUp()
process.disconnect?.()
