/**
 * Scripts that put themselves somewhere and become a program there, as browsers are started by a path alone.
 *
 * @module
 */
import { writeFile } from 'node:fs/promises'

/** @param enter lines of sh, in which $$ is the process that becomes the program @returns the script's path */
export async function writeLauncher(
  script: string,
  enter: readonly string[],
  program: string,
): Promise<string> {
  const lines = ['#!/bin/sh', 'set -e', ...enter, `exec ${quoted(program)} "$@"`]
  await writeFile(script, `${lines.join('\n')}\n`, { mode: 0o755 })
  return script
}

export const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`
