/**
 * Writes a synthetic model to disk, piece by piece.
 *
 * @module
 */
import { open, rm } from 'node:fs/promises'
import type { SynthModel } from '../testing/synth/index.ts'

const pieceBytes = 8 * 2 ** 20

/** Removes what it wrote when it cannot write all of it. */
export async function writeSynthFile(path: string, model: SynthModel): Promise<void> {
  const file = await open(path, 'w')
  try {
    const piece = new Uint8Array(pieceBytes)
    for (let at = 0; at < model.sizeBytes; at += pieceBytes) {
      const part = piece.subarray(0, Math.min(pieceBytes, model.sizeBytes - at))
      model.read(at, part)
      await file.writeFile(part)
    }
  } catch (thrown) {
    await rm(path, { force: true })
    throw thrown
  } finally {
    await file.close()
  }
}
