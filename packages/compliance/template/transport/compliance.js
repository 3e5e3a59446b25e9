// @ts-check
// What the compliance suite is told of this adapter. Real child processes load this file, too.
import { templateTransport } from './transport.js'

export const create = () => templateTransport()
export const address = () => '127.0.0.1:0'

/** @param {import('@raftkit/contract').Transport} transport */
export const reached = (transport) =>
  /** @type {import('./transport.js').TemplateTransport} */ (transport).address ?? ''
