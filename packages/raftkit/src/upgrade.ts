import { versionEntry } from './entry.ts'
import type { EventHub } from './events.ts'
import type { Host } from './host.ts'
import type { Replica } from './replica.ts'
import type { ReplicatedMachine } from './replicate.ts'

/**
 * Brings a new version of the machine into force: the leader proposes it once every member is connected and runs it, since a
 * replica with an older machine stops where the new version begins. Returns the function that ends it.
 */
export function upgradeMachine(machine: ReplicatedMachine, host: Host, replica: Replica, hub: EventHub): () => void {
  let proposing = false

  const everyoneRunsIt = (): boolean => {
    const { id, incarnation, config } = replica.status()
    return config.members.every((member) => {
      if (member.id === id && member.incarnation === incarnation) return true
      const hello = host.hellos.get(member.id)
      return (
        host.connected(member.id) &&
        hello?.incarnation === member.incarnation &&
        hello.machineVersion >= machine.version
      )
    })
  }

  const consider = (): void => {
    if (proposing || machine.versionInForce >= machine.version || replica.error) return
    if (replica.status().role !== 'leader' || !everyoneRunsIt()) return
    proposing = true
    replica.propose(versionEntry(machine.version)).then(
      () => {
        proposing = false
      },
      () => {
        proposing = false // the next event tries again
      },
    )
  }

  return hub.observe(({ type }) => {
    if (type === 'link' || type === 'hello' || type === 'role' || type === 'configuration') consider()
  })
}
