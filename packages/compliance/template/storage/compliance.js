// @ts-check
// What the compliance suite is told of this adapter. Real child processes load this file, too.
import { templateStorage } from './storage.js'

/** @param {string} directory */
export const open = (directory) => templateStorage(directory)

/** @type {import('@raftkit/compliance').StorageSubject} */
export const subject = { open, program: import.meta.url }
