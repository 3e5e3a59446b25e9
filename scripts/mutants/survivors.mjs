// @ts-check

/** Why a planted bug is not caught, by its name. @type {Readonly<Record<string, string>>} */
export const reasons = {}
