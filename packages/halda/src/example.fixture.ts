/**
 * The files of `examples/`, for tests.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import type { DeviceProfile, ModelProfile } from './types.ts'

export function readExample(name: string): { devices: DeviceProfile[]; model: ModelProfile } {
  return JSON.parse(readFileSync(new URL(`../examples/${name}`, import.meta.url), 'utf8'))
}
