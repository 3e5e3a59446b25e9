import { join } from 'node:path'
import { freePorts } from '@raftkit/app-kv'
import { adapterFlags, adaptersOf } from '../cluster/systems/adapters.ts'
import { defaultKeys } from '../cluster/wire/keys.ts'
import { row, type Series } from '../harness/pairs.ts'
import type { Bench, Part, Sample } from '../harness/part.ts'
import { median, medians } from '../harness/statistics.ts'
import { installUnderLoad } from './install.ts'
import { distribution, leaderLoss } from './leader-loss.ts'
import { type Alone, replay, writeLog } from './replay.ts'

export const recovery: Part = {
  name: 'recovery',
  answers: 'how fast is it back: the log at a restart, the next put after the leader was killed, a snapshot under load',
  seconds: 6,
  flags: {
    entries: { type: 'string', what: 'entries in the log that is replayed (default: 500000)' },
    kills: { type: 'string', what: 'how often the leader is killed (default: 20)' },
    rate: { type: 'string', what: 'puts per second while a snapshot is installed (default: 1000)' },
    ...adapterFlags,
  },
  cases: { writeLog, replay },
  async run(bench) {
    const whole = (flag: string, otherwise: number) => {
      const value = Number(bench.flags[flag] ?? otherwise)
      if (Number.isInteger(value) && value > 0) return value
      throw new Error(`--${flag} is a whole number above 0`)
    }
    const entries = whole('entries', bench.quick ? 20_000 : 500_000)
    const kills = whole('kills', bench.quick ? 1 : 20)
    const rate = whole('rate', 1000)
    const keys = bench.quick ? 5000 : defaultKeys
    const build = { ...adaptersOf(bench), snapshotEntries: 1e9 }

    const replays = await replayed(bench, entries)
    const losses = await leaderLoss({ ...build, directory: join(bench.directory, 'loss') }, kills, bench.say)
    const installs: { quiet: Sample; during: Sample }[] = []
    for (let round = 1; round <= Math.min(3, bench.pairs); round++) {
      const directory = join(bench.directory, `install-${round}`)
      installs.push(await installUnderLoad({ ...build, directory }, { keys, rate, seconds: bench.seconds }, bench.say))
    }
    const lost = distribution(losses)
    const p99 = (which: 'quiet' | 'during') => median(installs.map((one) => one[which].p99Us!)) / 1000
    const during = medians(installs.map((one) => one.during))
    return {
      tables: [
        {
          name: 'replay',
          title: 'A restart: the log is opened, read, checked and applied',
          columns: [
            { field: 'entries', title: 'entries of 264 B' },
            { field: 'openMBPerSecond', title: 'MB/s, open' },
            { field: 'mbPerSecond', title: 'MB/s, applied' },
            { field: 'openSeconds', title: 'open, s' },
            { field: 'applySeconds', title: 'apply, s' },
            { field: 'cpuSeconds', title: 'processor, s' },
          ],
          rows: [row(replays)],
        },
        {
          name: 'leader-loss',
          title: 'From SIGKILL of the leader to the next acknowledged put',
          columns: [
            { field: 'kills', title: 'kills' },
            { field: 'p50Ms', title: 'median ms' },
            { field: 'p90Ms', title: 'p90' },
            { field: 'maxMs', title: 'max' },
          ],
          rows: [{ kills: losses.length, p50Ms: lost.p50, p90Ms: lost.p90, maxMs: lost.max, samples: losses.length }],
        },
        {
          name: 'install',
          title: `Puts at ${rate} per second, open loop, while a member is sent a snapshot of ${keys.toLocaleString('en')} keys`,
          columns: [
            { field: 'state', title: 'beside the puts' },
            { field: 'p50Ms', title: 'p50 ms' },
            { field: 'p99Ms', title: 'p99' },
            { field: 'maxMs', title: 'max' },
            { field: 'installSeconds', title: 'caught up after, s' },
          ],
          rows: (['quiet', 'during'] as const).map((which) =>
            row({
              key: { state: which === 'quiet' ? 'nothing' : 'a member starts, and installs it' },
              samples: installs.map((one) => milliseconds(one[which])),
            }),
          ),
        },
      ],
      figures: [
        {
          measure: 'restart: log replay, opened, read and checked',
          at: `${entries.toLocaleString('en')} entries`,
          value: medians(replays.samples).openMBPerSecond!,
          unit: 'MB/s',
          must: { atLeast: 150 },
          goal: { atLeast: 400 },
        },
        {
          measure: 'restart: log replay, until the machine holds it',
          at: `${entries.toLocaleString('en')} entries`,
          value: medians(replays.samples).mbPerSecond!,
          unit: 'MB/s',
        },
        { measure: 'leader killed: the next put, median', at: `${kills} kills`, value: lost.p50, unit: 'ms' },
        {
          measure: 'snapshot install under load: p99 of puts',
          beside: 'the same without',
          value: p99('during') / p99('quiet'),
          unit: '×',
        },
        { measure: 'snapshot install under load: caught up after', value: during.installSeconds!, unit: 's' },
      ],
      notes: [
        'Replay: a cluster of one in a fresh process; the file is in the page cache; keys and values alone count as bytes. ' +
          'Leader loss: election timeouts of 1000 to 2000 ms, drawn at random, are most of it.',
      ],
    }
  },
}

async function replayed(bench: Bench, entries: number): Promise<Series> {
  const directory = join(bench.directory, 'log')
  const address = `127.0.0.1:${(await freePorts(1))[0]}`
  const input: Alone = { ...adaptersOf(bench), directory, address, entries }
  bench.say(`writing a log of ${entries.toLocaleString('en')} entries`)
  await bench.start('writeLog', input).result
  const [replays] = await bench.interleave([{ key: { entries }, case: 'replay', input, seconds: longest }])
  return replays!
}

/** Seconds after ten times of which a start is given up. */
const longest = 30

function milliseconds(sample: Sample): Sample {
  const { p50Us, p99Us, maxUs } = sample
  return { ...sample, p50Ms: p50Us! / 1000, p99Ms: p99Us! / 1000, maxMs: maxUs! / 1000 }
}
