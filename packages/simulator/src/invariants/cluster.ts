import type { Config, Index, NodeId, Term } from '@raftkit/contract'
import type { Server } from '../world/server.ts'
import { Entries, type Entry } from './log.ts'
import { type Content, View } from './view.ts'

/** What is known of a whole run, by looking at everything at once. */
export class Cluster {
  readonly entries: Entries = new Entries()
  readonly views: Map<NodeId, View> = new Map()
  /** What the disk of each member under each incarnation holds; of one that was wiped, what it held last. */
  readonly disks: Map<string, Content> = new Map()
  /** `committed[index]`, as the leaders that committed it hold it. There is no entry 0. */
  readonly committed: (Entry | undefined)[] = [undefined]
  /** In which term each was first known to be committed. */
  readonly committedIn: Term[] = [0]
  /** The configurations among them, ascending. */
  readonly configs: (Entry & { readonly config: Config })[] = []
  /** Who led each term. */
  readonly leaders: Map<Term, { readonly view: View; readonly key: string; readonly boot: number }> = new Map()

  view(server: Server): View {
    let view = this.views.get(server.id)
    if (view === undefined) {
      view = new View(server)
      this.views.set(server.id, view)
    }
    return view
  }

  /** Everything up to here is committed, as some leader knew. */
  get frontier(): Index {
    return this.committed.length - 1
  }

  commit(entry: Entry, term: Term): void {
    this.committed.push(entry)
    this.committedIn.push(term)
    if (entry.config !== undefined) this.configs.push(entry as Entry & { config: Config })
  }

  /** The committed configuration at `index`; undefined before the first. */
  configAt(index: Index): { readonly index: Index; readonly config: Config } | undefined {
    for (let at = this.configs.length - 1; at >= 0; at--) {
      const entry = this.configs[at]!
      if (entry.index <= index) return entry
    }
    return undefined
  }

  /** The process that leads `term` now, if it still does. */
  leading(term: Term): View | undefined {
    const leader = this.leaders.get(term)
    if (leader === undefined) return undefined
    const { view, key, boot } = leader
    return view.up && view.role === 'leader' && view.term === term && view.key === key && view.server.boots === boot
      ? view
      : undefined
  }
}
