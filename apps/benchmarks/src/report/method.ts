/** The page's section on method: what every part holds to. */
export const method = `## How it is measured

- **A fresh process for every sample.** What one case taught the compiler, or left in memory, another does not find. Each warms up before its clock starts, and has an empty
  directory on the disk under test, to which everything before it has been written out.
- **In turns: A B A B …** What is compared runs round by round, so that a slow minute of the machine meets both sides. A ratio is one of medians over these pairs; its interval is
  where 95 of 100 ratios lie when rounds are drawn again at random (bootstrap). ± is the distance of the quartiles as a share of the median, told from 5 % on.
- **Durable is the same on both sides, and is counted.** An operation is done when a flush on a majority is done, never sooner. How many flushes there were is counted by \`strace\` in
  a run of its own, since a traced process is slow: fsync, fdatasync, and writes to files opened with O_SYNC or O_DSYNC. A part fails when something flushed less often
  than it claims. Nothing runs with its flushes turned off.
- **The same shape.** Both sides get the same number of members on the same disk, the same sizes of keys and values, the same operations outstanding, no TLS, and
  comparable timeouts. Whatever speaks another wire is a row of its own: embedded proposals and HTTP are always shown together. Connections are each wire's own,
  few for gRPC and one for each request for HTTP/1.1; etcd under as many connections as HTTP needs is a row as well.
- **Closed and open loops.** A closed loop holds so many operations outstanding. An open loop sends when it is time to send, and latency counts from that time,
  so that a stall is paid by everything it held up.
- **Processor time and flushes per operation first.** They depend far less on the hour than operations per second do. Processor time is that of all threads of the members;
  the load's own is a column of its own.
- **What the machine can do stands beside it**: \`calibrate\` runs none of our code but a checksum. Where a rival could not run beside us, a figure from elsewhere is scaled by
  it, and the row says so.
- **No figure is asserted by a test.** CI runs every part for a few seconds and asks only that it runs, that digests agree and that flushes happened.`
