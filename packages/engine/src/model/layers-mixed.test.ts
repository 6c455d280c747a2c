import { describe, expect, test } from 'vitest'
import { createReferenceBackend } from '../backend/reference.ts'
import { loadModel } from '../node/load-model.ts'
import { bytesSource } from '../testing/bytes-source.ts'
import { tinyModel } from '../testing/tiny-model.ts'
import { createMixedLayers } from './layers-mixed.ts'
import { layersBehaviour, type LayersUnderTest } from './layers.contract.ts'

/** Layers of two places, as far as this goes both on the processor: the last ones are elsewhere. */
async function mixed(gguf: Uint8Array, lastLayers: number): Promise<LayersUnderTest> {
  const [here, there] = [await createReferenceBackend(), await createReferenceBackend()]
  const first = await loadModel(bytesSource(gguf), here)
  const last = await loadModel(bytesSource(gguf), there)
  const { nLayers } = first.config
  for (let layer = 0; layer < nLayers; layer++)
    (layer < nLayers - lastLayers ? last : first).layers.unload(layer)
  const close = () => [here, there].forEach((backend) => backend.close())
  return { layers: createMixedLayers(first.layers, () => last.layers), close }
}

describe.each([0, 1, 2, 3])('%i of three layers in another place', (lastLayers) => {
  for (const { title, run } of layersBehaviour) test(title, () => run((gguf) => mixed(gguf, lastLayers)))
})

test('sessions that were lost in one place drop out there, and the others go on', async () => {
  const gguf = tinyModel({ nLayers: 3 })
  const { layers, close } = await mixed(gguf, 1)
  const frame = (session: number, position: number) => {
    return { plan: 1, session, position, layer: 0, rows: 1, hidden: new Float32Array(64).fill(1) }
  }
  await layers.run([frame(1, 0)], 3)
  await layers.run([frame(2, 0)], 2)
  const [one, two, three] = await layers.run([frame(1, 1), frame(2, 1), frame(3, 1)], 3)
  expect(one).toMatchObject({ session: 1, layer: 3 })
  expect(two).toMatchObject({ code: 'kv-lost', message: expect.stringContaining('Layer 2') })
  expect(three).toMatchObject({ code: 'kv-lost', message: expect.stringContaining('Layer 0') })
  close()
})
