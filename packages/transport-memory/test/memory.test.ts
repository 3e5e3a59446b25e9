import { memoryNetwork } from '@raftkit/transport-memory'
import { describeTransport } from './promises.ts'

const network = memoryNetwork()
let used = 0

describeTransport('the memory network', {
  transport: () => network.transport(),
  address: () => `place ${used++}`,
  reached: (_, address) => address,
})
