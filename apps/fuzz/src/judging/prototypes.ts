const watched: readonly object[] = [
  Object,
  Array,
  Function,
  String,
  Number,
  Boolean,
  Map,
  Set,
  Promise,
  Error,
  RegExp,
  Date,
  Uint8Array,
  ArrayBuffer,
].map(({ prototype }) => prototype as object)

const before = watched.map((prototype) => Object.getOwnPropertyDescriptors(prototype))
const keysOfObjects = Reflect.ownKeys(Object.prototype).length

/** Cheap enough for every input: whether objects have got something that they had not. */
export function objectsPolluted(): boolean {
  for (const _ in {}) return true
  return Reflect.ownKeys(Object.prototype).length !== keysOfObjects
}

/** What stands in the prototypes of the language that did not, or stands there otherwise. It is put back. */
export function pollution(): string[] {
  const found: string[] = []
  for (const [i, prototype] of watched.entries()) {
    const was = before[i] as Record<PropertyKey, PropertyDescriptor>
    for (const key of Reflect.ownKeys(prototype)) {
      const now = Object.getOwnPropertyDescriptor(prototype, key)!
      const then = Object.hasOwn(was, key) ? was[key] : undefined
      if (then && then.value === now.value && then.get === now.get && then.set === now.set) continue
      found.push(`${String((prototype.constructor as { name?: string })?.name)}.prototype.${String(key)}`)
      if (then) Object.defineProperty(prototype, key, then)
      else Reflect.deleteProperty(prototype, key)
    }
    for (const key of Reflect.ownKeys(was))
      if (!Object.hasOwn(prototype, key)) {
        found.push(`a prototype has lost ${String(key)}`)
        Object.defineProperty(prototype, key, was[key]!)
      }
  }
  return found
}
