import type { NodeId } from '@raftkit/contract'
import type { Hello } from './hello.ts'

/** Who has said hello and never came is remembered, up to so many. */
const passersBy = 64

/** What peers said first. Of those whose link went down: what they last said. */
export class Hellos extends Map<NodeId, Hello> {
  /** `belongs`: a member, or connected. A stranger may say hello under ever new names and come under none: they shall not fill the memory. */
  remember(hello: Hello, belongs: (node: NodeId) => boolean): void {
    this.delete(hello.node) // the latest is last
    this.set(hello.node, hello)
    const passing = [...this.keys()].filter((node) => !belongs(node))
    for (const node of passing.slice(0, -passersBy)) this.delete(node)
  }
}
