import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { exchange, type MemberPlan, MemberProcess, type MemberView } from '@raftkit/app-kv'
import type { Told } from '../member.ts'
import { type DiskFault, healthy } from '../storage/disk.ts'

const settings = fileURLToPath(new URL('./member.js', import.meta.url))

/** Codes of a disk that did not do as it was told: the only ones with which a member may stop, and only while its disk had a fault. */
const ofDisks = new Set(['STORAGE_FAILED'])

/** One member: its process, and who starts that again whenever it ends, as an init system does. */
export class Member {
  readonly process: MemberProcess
  readonly #use: Told['use'] & object
  #wanted = false
  #keeping: Promise<void> = Promise.resolve()
  #joins = false
  #disk: DiskFault = healthy
  /** Its disk has had a fault since its process was last started. */
  #diskFailed = false
  #full = false
  /** Its process is ended on purpose, so that end needs no reason. Said when it is done: by the time it has ended, it may be wanted again. */
  #meant = false
  /** How much of its log has been looked at. */
  #read = 0
  /** The latest that it said of itself, and when. */
  view: MemberView | undefined
  seen = 0
  paused = false
  /** Why its process ended by itself, where no fault explains it. */
  readonly crashes: string[] = []

  constructor(plan: MemberPlan, use: Told['use'] & object) {
    const flags = [...(plan.flags ?? []), '--config', settings]
    this.process = new MemberProcess({ ...plan, flags })
    this.#use = use
    // Without founders it can only wait to be added.
    this.#joins = plan.founders === undefined
    mkdirSync(this.process.store, { recursive: true })
  }

  get id(): string {
    return this.process.id
  }

  get endpoint(): string {
    return this.process.endpoint
  }

  get disk(): DiskFault {
    return this.#disk
  }

  set disk(fault: DiskFault) {
    this.#disk = fault
    if (fault.kind !== 'none') this.#diskFailed = true
    this.#tell({ disk: fault })
  }

  /** Its file system is full. */
  diskFails(): void {
    this.#full = true
    this.#diskFailed = true
  }

  diskWorks(): void {
    this.#full = false
  }

  /** It runs, or is being started again. */
  get wanted(): boolean {
    return this.#wanted
  }

  /** From now on it runs. */
  start(): void {
    if (this.#wanted) return
    this.#wanted = true
    this.#keeping = this.#keeping.then(() => this.#keep())
  }

  async #keep(): Promise<void> {
    while (this.#wanted) {
      const starting = this.process.start({ join: this.#joins })
      this.#tell({ use: this.#use, disk: this.#disk })
      // Rejects if it ends while it starts; either way it has ended next.
      starting.catch(() => {})
      const [code, signal] = (await this.process.ended) as [number | null, string | null]
      const meant = this.#meant
      this.#meant = false
      this.paused = false
      this.view = undefined
      await starting.catch(() => {})
      this.#explain(meant, signal ?? `code ${code}`)
      this.#diskFailed = this.#full || this.#disk.kind !== 'none'
    }
  }

  /** Whatever it gave as a reason to end must be the fault of its disk, unless it was ended on purpose. */
  #explain(meant: boolean, end: string): void {
    const log = readFileSync(this.process.log, 'utf8').slice(this.#read)
    this.#read += log.length
    if (meant) return
    const codes = [...log.matchAll(/\b([A-Z]+(?:_[A-Z]+)*): /g)].map(([, code]) => code!)
    const last = log.match(/stopped: ([A-Z_]+)/)?.[1] ?? codes.at(-1) ?? 'no reason'
    if (!(this.#diskFailed && (ofDisks.has(last) || /ENOSPC|no space left/i.test(log))))
      this.crashes.push(`${this.id}: ${last} (${end})`)
  }

  /** SIGKILL; it comes back by itself unless `down` was called. */
  async kill(): Promise<void> {
    if (this.process.running) this.#meant = true
    await this.process.kill()
  }

  /** Ends it until `start`. `gently`: by SIGTERM, so that it can hand over. */
  async down({ gently = false } = {}): Promise<void> {
    this.#wanted = false
    if (this.process.running) this.#meant = true
    if (this.paused) this.resume()
    if (gently) await this.process.stop()
    else await this.process.kill()
    await this.#keeping
  }

  pause(): void {
    this.paused = true
    this.process.signal('SIGSTOP')
  }

  resume(): void {
    this.process.signal('SIGCONT')
    this.paused = false
  }

  /** Its disk is lost. Must be down; from its next start on it waits to be added. */
  wipe(): void {
    for (const name of readdirSync(this.process.store))
      rmSync(join(this.process.store, name), { recursive: true, force: true })
    this.#joins = true
  }

  async look(): Promise<void> {
    if (!this.process.running) return
    const answer = await exchange(this.endpoint, { method: 'GET', path: '/v1/status' }, 1_000).catch(() => undefined)
    if (answer?.status !== 200) return
    this.view = answer.body as MemberView
    this.seen = performance.now()
  }

  /** It runs and answers. */
  async answers(within: number): Promise<boolean> {
    const deadline = performance.now() + within
    while (performance.now() < deadline) {
      const alive = await exchange(this.endpoint, { method: 'GET', path: '/livez' }, 500).catch(() => undefined)
      if (alive?.status === 200) return true
      await pause(30)
    }
    return false
  }

  #tell(told: Told): void {
    this.process.send(told)
  }
}
