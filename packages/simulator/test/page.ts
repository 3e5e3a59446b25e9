/** A page of the documentation with what stands between its two marks `name` made anew. */
export function between(page: string, name: string, made: string): string {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`]
  const from = page.indexOf(begin)
  const to = page.indexOf(end)
  if (from < 0 || to < from) throw new Error(`the page has no place for ${name}`)
  return `${page.slice(0, from)}${begin}\n\n${made}\n\n${page.slice(to)}`
}
