/**
 * The session and number of a command, as `session:number`, read from the bytes of its entry; undefined: it has none, or it is no entry
 * of a machine made by `defineMachine`. Layout: format 1, kind 2, then varints: session, number, number - low.
 */
export function ticketOf(data: Uint8Array): string | undefined {
  if (data[0] !== 1 || data[1] !== 2) return undefined
  let at = 2
  const varint = (): number => {
    let n = 0
    for (let scale = 1; at < data.length; scale *= 128) {
      const byte = data[at++]!
      n += (byte & 127) * scale
      if (byte < 128) return n
    }
    return Number.NaN
  }
  const session = varint()
  const number = varint()
  return Number.isNaN(number) ? undefined : `${session}:${number}`
}
