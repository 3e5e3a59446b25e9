const rule = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/** The rule for names of nodes, groups, clusters and protocols, in words. */
export const nameRule = 'at most 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit'

export const isName = (value: unknown): value is string => typeof value === 'string' && rule.test(value)
