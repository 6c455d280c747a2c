/**
 * The sentences that all stores share, and the rule for their names.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import type { FileName } from './shard-store.ts'

/** 'model/file'. @throws EngineError 'bug' for a name that could leave its folder */
export function pathOf({ model, file }: FileName): string {
  for (const part of [model, file]) checkName(part)
  return `${model}/${file}`
}

export function checkName(part: string): void {
  if (!/^[A-Za-z0-9._-]{1,128}$/.test(part) || /^\.+$/.test(part)) {
    throw new EngineError('bug', `"${part}" cannot be the name of a stored file.`)
  }
}

export const noSuchFile = (name: FileName) =>
  new EngineError('shard-corrupt', `${name.file} is not stored on this device; it has to be fetched again.`)

export const endsEarly = (name: FileName, wantedBytes: number, byteLength: number) =>
  new EngineError(
    'shard-corrupt',
    `${name.file} ends at byte ${byteLength} on this device, but ${wantedBytes} bytes were expected; it has to be fetched again.`,
  )

/** @param missingBytes absent when the browser did not even make the file */
export const storageFull = (name: FileName, missingBytes?: number, cause?: unknown) =>
  new EngineError(
    'storage-full',
    `This device's storage is full: no room is left for ${missingBytes === undefined ? '' : `${missingBytes} bytes of `}${name.file}. Remove a model that you no longer use, or free space on the device, then try again; what is stored so far stays.`,
    { cause },
  )

export const inUse = (name: FileName, cause?: unknown) =>
  new EngineError(
    'storage-unavailable',
    `${name.file} is open in another tab of this browser. Close that tab, or wait until it is done, then try again.`,
    { cause },
  )
