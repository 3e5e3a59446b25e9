import { setTimeout as pause } from 'node:timers/promises'
import { createNode, type Node } from 'raftkit'
import { storageOf, transportOf } from '../cluster/systems/adapters.ts'
import { KeyValues } from '../cluster/systems/machines.ts'
import { defaultKeys, keyBytes, keyOf, randomKeys, randomValue, valueBytes } from '../cluster/wire/keys.ts'
import type { CaseContext } from '../harness/case.ts'
import type { Sample } from '../harness/part.ts'
import { beginProfile } from '../harness/profile.ts'

export interface Alone {
  readonly storage: string
  readonly transport: string
  readonly directory: string
  readonly address: string
  readonly entries: number
}

const outstanding = 1024

/** A cluster of one, whose log is never cut: nothing but the log stands between a start and the state. */
async function alone({ storage, transport, directory, address }: Alone): Promise<{ node: Node; machine: KeyValues }> {
  const machine = new KeyValues()
  const node = (await createNode({
    id: 'n1',
    cluster: 'bench',
    machine,
    members: { n1: address },
    storage: storageOf(storage, directory),
    transport: transportOf(transport),
    snapshots: false,
    // It waits for nobody, so what an election takes is not what is measured.
    timing: { electionTimeout: 50, heartbeatInterval: 25 },
  })) as unknown as Node
  return { node, machine }
}

/** Writes the log. */
export async function writeLog(input: Alone, _: CaseContext): Promise<Sample> {
  const { node } = await alone(input)
  await node.ready()
  const entry = Buffer.from('k'.repeat(keyBytes) + randomValue(valueBytes))
  const key = randomKeys(defaultKeys)
  let left = input.entries
  await Promise.all(
    Array.from({ length: outstanding }, async () => {
      while (left-- > 0) {
        const data = Buffer.from(entry)
        data.write(keyOf(key()), 'latin1')
        await node.propose(data)
      }
    }),
  )
  await node.close()
  return { entries: input.entries }
}

/** A start: the storage is opened, the log read and checked, then applied, in a fresh process. Payload alone counts as bytes. */
export async function replay(input: Alone, { profile }: CaseContext): Promise<Sample> {
  const endProfile = profile === undefined ? undefined : await beginProfile(profile)
  const cpu = process.cpuUsage()
  const began = performance.now()
  const { node, machine } = await alone(input)
  const opened = performance.now()
  let leads = opened
  const stop = node.on('role', ({ role }) => {
    if (role === 'leader') leads = performance.now()
  })
  while (machine.puts < input.entries) await pause(1)
  const applied = performance.now()
  const { user, system } = process.cpuUsage(cpu)
  stop()
  await endProfile?.()
  await node.close()
  if (machine.puts !== input.entries)
    throw new Error(`${input.entries} puts were in the log, ${machine.puts} are applied`)
  const open = (opened - began) / 1000
  const apply = Math.max(0, applied - leads) / 1000
  const megabytes = (input.entries * (keyBytes + valueBytes)) / 1e6
  return {
    megabytes,
    openSeconds: open,
    applySeconds: apply,
    perSecond: input.entries / (open + apply),
    openMBPerSecond: megabytes / open,
    mbPerSecond: megabytes / (open + apply),
    cpuSeconds: (user + system) / 1e6,
  }
}
