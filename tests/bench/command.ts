/**
 * One thing that `npm run bench` measures.
 *
 * @module
 */
export type BenchCommand = {
  usage: string
  /** Names of the options that take a text, beside --json, --out and --help. */
  options: readonly string[]
  /** @throws RangeError for options that make no sense */
  run(
    values: Readonly<Record<string, string | undefined>>,
    log: (line: string) => void,
  ): Promise<{ report: unknown; text: string }>
}
