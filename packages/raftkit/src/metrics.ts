import { isRaftkitError, isVoter } from '@raftkit/contract'
import type { NodeEvent } from './events.ts'
import type { Proposing } from './proposal.ts'
import type { NodeStatus } from './status.ts'

export interface Sample {
  /** As the metric's, with `_bucket`, `_sum` or `_count` for histograms. */
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Metric {
  readonly name: string
  readonly help: string
  readonly type: 'gauge' | 'counter' | 'histogram'
  readonly samples: readonly Sample[]
}

/** Upper bounds in seconds, from a fast disk's flush to an election. */
const buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

export interface Counter {
  value: number
}

export class Histogram {
  readonly counts: number[] = new Array(buckets.length + 1).fill(0)
  sum = 0

  observe(milliseconds: number): void {
    const seconds = milliseconds / 1000
    let at = 0
    while (at < buckets.length && seconds > buckets[at]!) at++
    this.counts[at]!++
    this.sum += seconds
  }
}

type Labels = Readonly<Record<string, string>>

const none: Labels = {}
const keyOf = (name: string, labels: Labels): string =>
  labels === none ? name : `${name} ${Object.values(labels).join(' ')}`

/** What is counted between two readings; what a state says is read when it is asked for. */
export class Metrics {
  readonly #labels: Labels
  readonly #counters = new Map<string, { readonly name: string; readonly labels: Labels; value: number }>()
  readonly #histograms = new Map<string, { readonly name: string; readonly labels: Labels; readonly of: Histogram }>()

  constructor(labels: Labels) {
    this.#labels = labels
  }

  /** To be kept by who counts often. */
  counter(name: string, labels: Labels = none): Counter {
    const key = keyOf(name, labels)
    let counter = this.#counters.get(key)
    if (!counter) {
      counter = { name, labels, value: 0 }
      this.#counters.set(key, counter)
    }
    return counter
  }

  histogram(name: string, labels: Labels = none): Histogram {
    const key = keyOf(name, labels)
    let histogram = this.#histograms.get(key)
    if (!histogram) {
      histogram = { name, labels, of: new Histogram() }
      this.#histograms.set(key, histogram)
    }
    return histogram.of
  }

  count(name: string, labels: Labels = none): void {
    this.counter(name, labels).value++
  }

  observe(name: string, milliseconds: number, labels: Labels = none): void {
    this.histogram(name, labels).observe(milliseconds)
  }

  /** An observer of the node's events. */
  readonly see = (event: NodeEvent): void => {
    switch (event.type) {
      case 'leader':
        if (event.leader !== undefined) this.count('raft_leader_changes_total')
        break
      case 'role':
        if (event.role === 'preCandidate') this.count('raft_elections_total', { phase: 'prevote', result: 'started' })
        if (event.role === 'candidate') this.count('raft_elections_total', { phase: 'vote', result: 'started' })
        if (event.role === 'leader') this.count('raft_elections_total', { phase: 'vote', result: 'won' })
        break
      case 'applied':
        this.observe('raft_apply_duration_seconds', event.milliseconds)
        break
      case 'durable':
        this.observe('raft_wal_fsync_duration_seconds', event.milliseconds)
        break
      case 'saved':
        this.observe('raft_snapshot_save_duration_seconds', event.milliseconds)
        break
      case 'refused':
        this.count('raft_refused_total', { code: event.code })
        break
      case 'dropped':
        this.count('raft_dropped_total', { what: event.what })
        break
      case 'stalled':
        this.count('raft_stalls_total')
        break
      case 'accused':
        this.count('raft_lies_proved_total', { lie: event.lie })
        break
    }
  }

  read(status: NodeStatus, sentBytes: ReadonlyMap<string, number>, lag: number): Metric[] {
    const metrics = new Map<string, { type: Metric['type']; samples: Sample[] }>()
    const add = (type: Metric['type'], name: string, value: number, labels: Labels = {}, suffix = ''): void => {
      let metric = metrics.get(name)
      if (!metric) {
        metric = { type, samples: [] }
        metrics.set(name, metric)
      }
      metric.samples.push({ name: name + suffix, labels: { ...this.#labels, ...labels }, value })
    }
    const gauge = (name: string, value: number, labels?: Labels): void => add('gauge', name, value, labels)

    gauge('raft_up', status.state === 'running' ? 1 : 0)
    gauge('raft_has_leader', status.leader === undefined ? 0 : 1)
    gauge('raft_is_leader', status.role === 'leader' ? 1 : 0)
    gauge('raft_term', status.term)
    gauge('raft_first_index', status.first)
    gauge('raft_last_index', status.last)
    gauge('raft_commit_index', status.commit)
    gauge('raft_applied_index', status.machineApplied)
    gauge('raft_snapshot_index', status.snapshot?.index ?? 0)
    gauge('raft_snapshot_bytes', status.snapshot?.bytes ?? 0)
    gauge('raft_fsynced_index', status.durable)
    gauge('raft_proposals_pending', status.waitingCalls)
    gauge('raft_uncommitted_bytes', status.uncommittedBytes)
    gauge('raft_writes_pending', status.waitingWrites)
    gauge('raft_oldest_write_seconds', status.oldestWriteAge / 1000)
    if (status.forked !== undefined) gauge('raft_forked', status.forked ? 1 : 0)
    const { members } = status.config
    const learners = members.filter((member) => !isVoter(member)).length
    gauge('raft_config_voters', members.length - learners)
    gauge('raft_config_learners', learners)
    gauge('raft_config_joint', members.some(({ role }) => role !== 'voter' && role !== 'learner') ? 1 : 0)
    gauge('raft_event_loop_lag_seconds', lag / 1000)
    for (const { id: peer, match, silentFor, conduct } of status.peers) {
      gauge('raft_peer_match_index', match, { peer })
      if (silentFor !== undefined) gauge('raft_peer_last_contact_seconds', silentFor / 1000, { peer })
      if (conduct === undefined) continue
      gauge('raft_peer_convicted', conduct.convicted ? 1 : 0, { peer })
      for (const [kind, count] of Object.entries(conduct.oddities))
        add('counter', 'raft_peer_oddities_total', count, { peer, kind })
    }
    for (const [peer, state] of Object.entries(status.links))
      gauge('raft_peer_connected', state === 'down' ? 0 : 1, { peer })
    for (const [peer, bytes] of sentBytes) add('counter', 'raft_peer_sent_bytes_total', bytes, { peer })
    for (const { name, labels, value } of this.#counters.values()) add('counter', name, value, labels)
    for (const { name, labels, of } of this.#histograms.values()) {
      let below = 0
      for (const [i, count] of of.counts.entries()) {
        below += count
        const le = buckets[i] === undefined ? '+Inf' : `${buckets[i]}`
        add('histogram', name, below, { ...labels, le }, '_bucket')
      }
      add('histogram', name, of.sum, labels, '_sum')
      add('histogram', name, below, labels, '_count')
    }
    return [...metrics].map(([name, { type, samples }]) => ({ name, help: help[name] ?? name, type, samples }))
  }
}

/** What is counted of the proposals made through a node. */
export function proposalMeter(metrics: Metrics): Proposing['meter'] {
  const committed = metrics.histogram('raft_commit_duration_seconds')
  const applied = metrics.counter('raft_proposals_total', { result: 'applied' })
  return {
    committed: (milliseconds) => committed.observe(milliseconds),
    ended(error) {
      if (error === undefined) applied.value++
      else metrics.count('raft_proposals_total', { result: outcomeOf(error) === 'unknown' ? 'unknown' : 'dropped' })
    },
  }
}

const outcomeOf = (error: unknown): unknown => (isRaftkitError(error) ? error.outcome : undefined)

/** Text exposition format 0.0.4, which Prometheus and its kin read. */
export function exposition(metrics: readonly Metric[]): string {
  return metrics
    .flatMap(({ name, help, type, samples }) => [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} ${type}`,
      ...samples.map((sample) => {
        const labels = Object.entries(sample.labels).map(([key, value]) => `${key}="${escaped(value)}"`)
        return `${sample.name}{${labels.join(',')}} ${sample.value}`
      }),
    ])
    .join('\n')
    .concat('\n')
}

const escaped = (text: string): string => text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')

const help: Readonly<Record<string, string>> = {
  raft_up: '1 while the node runs.',
  raft_has_leader: '1 if a leader is known.',
  raft_is_leader: '1 if this node leads.',
  raft_leader_changes_total: 'Leaders this node has seen.',
  raft_elections_total: 'Elections this node stood for, by phase and result.',
  raft_term: 'Current term.',
  raft_first_index: 'First entry of the log.',
  raft_last_index: 'Last entry of the log.',
  raft_commit_index: 'Last entry known to be committed.',
  raft_applied_index: 'Last entry the machine holds.',
  raft_snapshot_index: 'Last entry the snapshot in force holds.',
  raft_snapshot_bytes: 'Size of the snapshot in force.',
  raft_fsynced_index: 'Last entry that is durable here.',
  raft_proposals_total: 'Proposals made through this node, by result.',
  raft_proposals_pending: 'Calls that wait for an answer.',
  raft_uncommitted_bytes: 'Bytes of entries that are not committed.',
  raft_writes_pending: 'Writes that are not durable yet.',
  raft_oldest_write_seconds: 'Age of the oldest of them.',
  raft_commit_duration_seconds: 'From a proposal to its commit, as this node sees it.',
  raft_apply_duration_seconds: 'One batch in the state machine.',
  raft_reads_total: 'Queries answered, by consistency.',
  raft_read_duration_seconds: 'From a query to its answer.',
  raft_peer_match_index: 'Last entry known to be on the peer; where members sign, the last it voted for.',
  raft_peer_last_contact_seconds: 'Since the peer was heard, by the leader; where members sign, by any member.',
  raft_peer_convicted: '1 if a lie of the peer is proved and committed.',
  raft_peer_oddities_total:
    'What the peer did that proves nothing, by kind: bad signatures, silence, delay, clock, neglect.',
  raft_lies_proved_total: 'Lies of members or clients that this node can prove, by kind.',
  raft_forked: '1 once this node has seen a fork: it commits no more.',
  raft_peer_connected: '1 while the link is up.',
  raft_peer_sent_bytes_total: 'Bytes of frames handed to the transport.',
  raft_wal_fsync_duration_seconds: 'From issuing a write to knowing it durable.',
  raft_snapshot_save_duration_seconds: 'Writing one snapshot of the own machine.',
  raft_config_voters: 'Members that vote in some half of the configuration.',
  raft_config_learners: 'Members that do not vote.',
  raft_config_joint: '1 while a membership change is under way.',
  raft_event_loop_lag_seconds: 'Worst lateness of a timer since the last reading: the cause of most false elections.',
  raft_refused_total: 'Hellos, frames and messages refused, by code.',
  raft_dropped_total: 'Frames and messages given up.',
  raft_stalls_total: 'Times the process stood still for long.',
}
