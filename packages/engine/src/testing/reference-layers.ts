/**
 * The forward pass that judges the others: all layers of a model, over the reference backend.
 *
 * @module
 */
import { createReferenceBackend } from '../backend/reference.ts'
import type { LayersUnderTest } from '../model/layers.contract.ts'
import { loadModel } from '../node/load-model.ts'
import { bytesSource } from './bytes-source.ts'

/** @param gguf a whole file */
export async function referenceLayers(gguf: Uint8Array): Promise<LayersUnderTest> {
  const backend = await createReferenceBackend()
  const { layers } = await loadModel(bytesSource(gguf), backend)
  return { layers, close: () => backend.close() }
}
