/** What a page runs: it joins a cluster as an observer, and shows commits as they happen. */
import { memoryStorage } from '@raftkit/storage-memory'
import { wsTransport } from '@raftkit/transport-ws/browser'
import { createNode, defineMachine } from 'raftkit'

/** What we use of the page's own; this workspace's types know no browser. */
interface Element {
  textContent: string
  readonly children: { readonly length: number }
  append(child: Element): void
}
declare const document: {
  readonly body: Element
  createElement(name: string): Element
  querySelectorAll(selector: string): Iterable<Element>
}

const machine = defineMachine({
  initial: () => ({ lines: [] as string[] }),
  commands: { add: (state, line: string) => state.lines.push(line) },
  queries: { lines: (state) => state.lines },
})

/** Resolves with the page's incarnation, by which it is added. */
async function observe(members: Record<string, string>, secret: string): Promise<string> {
  const node = await createNode({
    id: 'page',
    cluster: 'lines',
    machine,
    join: true,
    members,
    storage: memoryStorage(),
    transport: wsTransport({ secret, onReport: ({ kind, remote, reason }) => console.warn(kind, remote, reason) }),
  })
  const list = document.createElement('ol')
  document.body.append(list)
  node.on('applied', async () => {
    const lines = (await node.queries.lines(undefined, { consistency: 'stale' })) as readonly string[]
    for (const line of lines.slice(list.children.length)) {
      const item = document.createElement('li')
      item.textContent = line
      list.append(item)
    }
  })
  Object.assign(globalThis, { node })
  return node.status().incarnation
}

/** The lines that are shown. */
const shown = () => [...document.querySelectorAll('li')].map((item) => item.textContent)

Object.assign(globalThis, { observe, shown })
