/** The middle value, of two the higher. @param values at least one, in any order */
export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1]!
