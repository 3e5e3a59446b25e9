import type { Environment } from '@raftkit/contract'

/** All that the network takes from the world: a simulator passes its own, with virtual time. */
export type Scheduler = Pick<Environment, 'now' | 'at' | 'soon'>

/** Real time. */
export const realTime: Scheduler = {
  now: () => performance.now(),
  at(time, run) {
    // A timer may fire a fraction of a millisecond early; `at` promises never to.
    const fire = () => {
      const early = time - performance.now()
      if (early > 0) timer = setTimeout(fire, Math.ceil(early))
      else run()
    }
    let timer = setTimeout(fire, Math.max(0, Math.ceil(time - performance.now())))
    return () => clearTimeout(timer)
  },
  soon: typeof setImmediate === 'function' ? (run) => void setImmediate(run) : (run) => void setTimeout(run, 0),
}
