import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

export interface Child {
  readonly process: ChildProcess
  /** What it has said so far, line by line; it says so with one write(2) per line. */
  readonly lines: string[]
  /** Resolves once a line satisfies `is`, rejects when the process ends before. */
  said(is: (line: string) => boolean): Promise<string>
  readonly ended: Promise<void>
}

export function start(command: readonly string[]): Child {
  const child = spawn(command[0]!, command.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines: string[] = []
  const waiting = new Set<() => void>()
  const reader = createInterface({ input: child.stdout! })
  reader.on('line', (line) => {
    lines.push(line)
    for (const wake of waiting) wake()
  })
  let over = false
  const ended = Promise.all([once(child, 'exit'), once(reader, 'close')]).then(() => {
    over = true
    for (const wake of waiting) wake()
  })
  const said = (is: (line: string) => boolean): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const line = lines.find(is)
        if (line !== undefined) resolve(line)
        else if (over) reject(new Error(`the process ended after: ${lines.slice(-5).join(' | ')}`))
        else return
        waiting.delete(look)
      }
      waiting.add(look)
      look()
    })
  return { process: child, lines, said, ended }
}
