import { linkTransport } from '@raftkit/links'
import {
  closeRelayed,
  deliverBeforeTheyClose,
  holdTwoConnections,
  leaveNothingBehind,
  missWhatStandsStill,
  passControlWhileBulkIsBlocked,
  relayed,
  replaceWhatIsHalfOpen,
  standIdle,
} from '@raftkit/testing/links'
import { afterEach, describe, test } from 'vitest'
import { wsCarrier } from '../src/carrier.ts'

/** Between signs of life: less than the usual, so that what is missed is found out soon. */
const aliveMs = 200
const world = { transport: () => linkTransport({}, wsCarrier({}, aliveMs)) }

describe('links', { timeout: 60_000 }, () => {
  afterEach(closeRelayed)

  test('two nodes hold two TCP connections, whoever dialled, and none once closed', () => holdTwoConnections(world))

  test('attempts that fail leave nothing behind', () => leaveNothingBehind(world))

  test('an idle link stands: each side gives signs of life', async () => standIdle(await relayed(world), 10 * aliveMs))

  test('a half-open connection is found out and replaced', async () => replaceWhatIsHalfOpen(await relayed(world)))

  test('control passes while bulk is blocked', async () => passControlWhileBulkIsBlocked(await relayed(world)))

  test('what was sent before close still arrives', async () => deliverBeforeTheyClose(await relayed(world)))

  test('a process that stands still is found out, and heard again when it goes on', () =>
    missWhatStandsStill(world, new URL('subject.ts', import.meta.url), ['ws']))
})
