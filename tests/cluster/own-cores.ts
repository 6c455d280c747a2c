/**
 * One core for each device of a machine, as each has its own in a house: otherwise two that take turns wait for one another's
 * threads, wherever the machine's scheduler puts them.
 *
 * Source: sched_setaffinity(2), taskset(1).
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'

/** @returns a sentence where this machine cannot do that */
export function lackOfOwnCores(devices: number): string | null {
  if (spawnSync('taskset', ['--version']).status !== 0)
    return 'There is no taskset here: browsers share all cores.'
  const cores = availableParallelism()
  return devices > cores ? `${devices} devices share ${cores} cores.` : null
}

/** A line of sh: this process, and all that it starts, on one core. */
export const onCore = (device: number): string => `taskset -cp ${device} $$ > /dev/null`
