// @ts-check
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { root } from './workspace.mjs'

/**
 * Runs a program to its end and returns what it printed; rejects with all of it when the program fails.
 * @param {string} file @param {readonly string[]} args @param {import('node:child_process').SpawnOptionsWithoutStdio} [options]
 * @returns {Promise<string>}
 */
export function run(file, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: root, ...options })
    let output = ''
    let stdout = ''
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text) => {
      output += text
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code === 0) resolve(stdout)
      else reject(new Error(`${[file, ...args].join(' ')} ended with ${signal ?? code}\n${output}`))
    })
  })
}

/** A program that the workspace has among its devDependencies. @param {string} name */
export const bin = (name) => join(root, 'node_modules/.bin', name)
