import type { ChannelOptions, ServiceDefinition } from '@grpc/grpc-js'
import type { Lane } from '@raftkit/contract'
import { batchBytes } from '@raftkit/links'
import { frameOverhead } from './wire.ts'

/** The service of transport.proto. Messages go through as the bytes they are. */
const service = 'raftkit.transport.v1.Transport'
export const paths: Readonly<Record<Lane, string>> = { control: `/${service}/Control`, bulk: `/${service}/Bulk` }
export const asBytes = (message: Buffer): Buffer => message

function method(path: string) {
  return {
    path,
    requestStream: true,
    responseStream: true,
    requestSerialize: asBytes,
    requestDeserialize: asBytes,
    responseSerialize: asBytes,
    responseDeserialize: asBytes,
  }
}

export const definition: ServiceDefinition = { control: method(paths.control), bulk: method(paths.bulk) }

/** Nothing heard for 2 s: ask; no answer within 4 s: gone. An election is long over by then; this only finds half-open connections. */
const keepalive: ChannelOptions = {
  'grpc.keepalive_time_ms': 2000,
  'grpc.keepalive_timeout_ms': 4000,
  'grpc.keepalive_permit_without_calls': 1,
}

/** For both ends of a connection. */
function channelOptions(maxFrameBytes: number): ChannelOptions {
  // A message is a batch: of several frames up to a size, or of a single one.
  const maxMessageBytes = Math.max(maxFrameBytes + frameOverhead, batchBytes)
  return {
    ...keepalive,
    'grpc.max_send_message_length': maxMessageBytes,
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.enable_channelz': 0,
  }
}

export function clientOptions(maxFrameBytes: number): ChannelOptions {
  return {
    ...channelOptions(maxFrameBytes),
    // Channels to one address share a TCP connection otherwise, and control frames would wait behind bulk ones.
    'grpc.use_local_subchannel_pool': 1,
    // https_proxy is not meant for peers.
    'grpc.enable_http_proxy': 0,
    // No TXT record decides how we connect.
    'grpc.service_config_disable_resolution': 1,
    // What is asked for within TLS: names of hosts prove nothing here, and an address is no name.
    'grpc.ssl_target_name_override': 'raftkit',
    // Otherwise messages are kept for replay. The protocol above repeats what it must.
    'grpc.enable_retries': 0,
    // The default window of 64 KiB caps a link at 64 KiB per round trip. The receiving end of a server cannot be set.
    'grpc-node.flow_control_window': 4 * 1024 * 1024,
  }
}

export function serverOptions(maxFrameBytes: number): ChannelOptions {
  return {
    ...channelOptions(maxFrameBytes),
    // One call per connection is all that a peer makes.
    'grpc.max_concurrent_streams': 1,
  }
}
