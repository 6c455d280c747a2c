/**
 * Linear programs of which some columns must be whole numbers, and who solves them.
 *
 * @module
 */

export type MilpColumn = {
  /** Letters, digits and underscores. */
  name: string
  /** Per unit of the column, in the sum to be minimised. */
  cost: number
  lower: number
  /** Infinity where there is no bound. */
  upper: number
  isInteger: boolean
}

export type MilpRow = {
  name: string
  /** By column; columns not named count 0. */
  coefficients: Readonly<Record<string, number>>
  is: '<=' | '='
  right: number
}

export type MilpProgram = { columns: readonly MilpColumn[]; rows: readonly MilpRow[] }

export type MilpSolution = { cost: number; values: Readonly<Record<string, number>> }

/** @returns the minimum, whole columns as whole numbers; null when no values satisfy all rows */
export type MilpSolver = (program: MilpProgram) => Promise<MilpSolution | null>
