import { writer } from '../calibrate/flush.ts'
import { echo, handOver } from '../calibrate/hand-over.ts'
import { etcdVersion, provide } from '../etcd/install.ts'
import type { Part } from '../harness/part.ts'
import { findings } from './findings.ts'
import { flags, planOf } from './plan.ts'
import { Rounds } from './rounds.ts'
import { member } from './systems/member.ts'
import { generator } from './wire/generator.ts'

export const cluster: Part = {
  name: 'cluster',
  answers:
    'three durable members on this machine: puts and reads per second, latency, processor time, flushes, beside etcd',
  seconds: 3,
  flags,
  cases: { member, generator, echo, handOver, writer },
  async run(bench) {
    const plan = planOf(bench)
    const version = plan.systems.includes('etcd') ? etcdVersion(bench.say) : undefined
    const rounds = new Rounds(plan, bench)
    const without = plan.control ? provide('h2load', 'nghttp2-client', bench.say) : undefined
    if (without !== undefined) rounds.notes.push(`h2load did not control our generator: ${without}`)
    for (let round = 1; round <= plan.pairs; round++) await rounds.closed(round)
    for (let round = 1; round <= plan.openRounds; round++) await rounds.open(round)
    if (plan.flushCounts.length > 0) await rounds.flushes()
    return findings(plan, rounds, version)
  },
}
