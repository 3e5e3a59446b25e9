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
import { tcpTransport } from '@raftkit/transport-tcp'
import { afterEach, describe, test } from 'vitest'

const world = { transport: () => tcpTransport() }

describe('links', { timeout: 60_000 }, () => {
  afterEach(closeRelayed)

  test('two nodes hold two TCP connections, whoever dialled, and none once closed', () => holdTwoConnections(world))

  test('attempts that fail leave nothing behind', () => leaveNothingBehind(world))

  test('an idle link stands: each side gives signs of life', async () => standIdle(await relayed(world), 10_000))

  test('a half-open connection is found out and replaced', async () => replaceWhatIsHalfOpen(await relayed(world)))

  test('control passes while bulk is blocked', async () => passControlWhileBulkIsBlocked(await relayed(world)))

  test('what was sent before close still arrives', async () => deliverBeforeTheyClose(await relayed(world)))

  test('a process that stands still is found out, and heard again when it goes on', () =>
    missWhatStandsStill(world, new URL('subject.ts', import.meta.url)))
})
