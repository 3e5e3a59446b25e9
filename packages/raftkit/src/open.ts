import { isRaftkitError, type Membership, type ProtocolKind, RaftkitError, type StateMachine } from '@raftkit/contract'
import { randomHex, randomSeeds } from './environment.ts'
import { failure } from './failure.ts'
import { frameOverhead } from './frame.ts'
import type { Settings } from './options.ts'
import { Pending } from './pending.ts'
import { Replica, type ReplicaHost, restore } from './replica.ts'

const runBytes = 1024 * 1024

/**
 * Opens one group: what the storage found, the machine restored from the snapshot in force, the log loaded and verified, the
 * protocol started. Rejects `LOCKED`, `DAMAGED`, `REFUSED`, `UNKNOWN_FORMAT` …, and has then closed what it opened.
 */
export async function openReplica(
  group: string,
  settings: Settings,
  machine: StateMachine,
  host: ReplicaHost,
): Promise<Replica> {
  const { id, cluster, storage, environment, protocol: kind } = settings
  // Memory that outlived its node all the same: to the cluster, the restart is a wipe.
  if (!storage.durable && (await storage.groups()).includes(group)) await storage.destroy(group)
  const log = await storage.log(group)
  try {
    const snapshots = await storage.snapshots(group)
    const { found } = log
    const opening = (kind as ProtocolKind<unknown, never>).open({
      id,
      cluster,
      group,
      incarnation: randomHex(environment, 16),
      seed: randomSeeds(environment)(),
      found,
      maxMessageBytes: settings.transport.maxFrameBytes - frameOverhead(group),
      timing: settings.timing,
      limits: settings.limits,
      ...(settings.address === undefined ? {} : { address: settings.address }),
      ...(settings.founders ? { founders: settings.founders } : {}),
      ...(settings.signatures ? { key: settings.signatures.key, time: Math.floor(environment.wall()) } : {}),
      ...(settings.membership ? { membership: settings.membership as Membership<never> } : {}),
    })
    const { snapshot } = opening
    if (snapshot) await restoreInForce(snapshot.name, restore(machine, snapshots, snapshot.name))
    for (let next = found.first; next <= found.last; ) {
      const run = await log.read(next, found.last, runBytes)
      opening.load(run)
      next += run.count
    }
    const protocol = opening.start(environment.now())
    const { waitingCalls: calls, waitingBytes: bytes, timeout, policy } = settings
    const pending = new Pending(environment, { calls, bytes }, timeout, () => replica.called())
    const applied = snapshot ?? { index: 0, term: 0 }
    const replica: Replica = new Replica(
      {
        ...{ group, protocol, log, snapshots, machine, applied, environment, policy },
        ...(settings.signatures ? { signatures: settings.signatures } : {}),
      },
      pending,
      host,
    )
    return replica
  } catch (error) {
    await log.close().catch(() => undefined)
    throw error
  }
}

async function restoreInForce(name: string, restoring: Promise<void>): Promise<void> {
  try {
    await restoring
  } catch (cause) {
    if (isRaftkitError(cause, 'MISSING'))
      throw new RaftkitError(
        'DAMAGED',
        `snapshot ${name}, which the log builds on, is gone; wipe the storage of this node and add it again`,
        { cause },
      )
    throw failure(cause, 'MACHINE_MISMATCH', `the state machine could not take snapshot ${name} over`)
  }
}
