import { lockFolder } from '@raftkit/files'

// Run as a process of its own: takes the lock of the folder named, says so, and holds it until it is ended.
try {
  await lockFolder(process.argv[2]!)
  process.stdout.write('HELD\n')
  process.stdin.resume()
} catch (error) {
  process.stdout.write(`${(error as Error).message}\n`)
}
