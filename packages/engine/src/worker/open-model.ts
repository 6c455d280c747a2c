/**
 * From what a person picked, or the room agreed on, to a model whose shape is known: header, config, shards. No weight
 * is fetched for it.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import { readHeader, type GgufHeader } from '../gguf/header.ts'
import type { Packing } from '../gguf/packing.ts'
import { shardsOf, type Shard } from '../gguf/shards.ts'
import { modelConfig, type ModelConfig } from '../model/config.ts'
import { modelProfile } from '../model/model-profile.ts'
import type { ModelChoice, ModelRef } from '../protocol.ts'
import { createHeaderSource } from '../store/header-source.ts'
import { modelKey } from '../store/inventory.ts'
import { modelUrl } from '../store/model-url.ts'
import type { Shelf } from '../store/piece-writer.ts'
import type { RangeSource } from '../store/source.ts'
import { createUrlSource } from '../store/url-source.ts'

/** Positions planned for, where a model allows more: its KV cache at full length would fill a house of phones. */
const plannedContext = 4096

export type OpenModel = {
  ref: ModelRef
  /** Of its files in the store. */
  key: string
  source: RangeSource
  header: GgufHeader
  config: ModelConfig
  shards: { layers: Shard[]; head: Shard }
}

export type ModelPlace = {
  shelf: Shelf
  packing: Packing
  /** Of the server, for paths such as '/models/demo-q8_0.gguf'. */
  origin: string
  /** Told of every byte that comes over the network. */
  onfetched(bytes: number): void
}

/** @throws EngineError of {@link readHeader}, `modelConfig`, `shardsOf` and the source */
export async function openModel(ref: ModelRef, place: ModelPlace): Promise<OpenModel> {
  const { shelf, packing, origin, onfetched } = place
  const key = await modelKey(ref.url, ref.revision, packing.name)
  const known = { sizeBytes: ref.sizeBytes, revision: ref.revision }
  const source = counted(createUrlSource(modelUrl(ref.url, origin), { known }), onfetched)
  const headerSource = await createHeaderSource({ ...shelf, source, model: key })
  const header = await readHeader(headerSource)
  const config = modelConfig(header)
  const shards = shardsOf(header, packing)
  await headerSource.keep()
  await shelf.catalogue.putModel({ ...ref, model: key, lastUsedAtMs: Date.now() })
  return { ref, key, source, header, config, shards }
}

/** What the room must know to run the model that a person picked. @throws as {@link openModel} */
export async function inspectModel(picked: string, place: ModelPlace): Promise<ModelChoice> {
  const url = modelUrl(picked, place.origin)
  const { sizeBytes, revision } = await createUrlSource(url).describe()
  // Devices may know the server by other names: what it serves itself is named by path.
  const shared = url.startsWith(`${place.origin}/`) ? url.slice(place.origin.length) : url
  const file = decodeURIComponent(new URL(url).pathname.split('/').at(-1)!).replace(/\.gguf$/i, '')
  const ref = { name: file.slice(0, 64), url: shared, sizeBytes, revision }
  const { config, shards } = await openModel(ref, place)
  const profile = modelProfile(config, shards)
  return {
    model: ref,
    profile: { ...profile, contextLength: Math.min(profile.contextLength, plannedContext) },
    request: { split: 'fastest' },
  }
}

/** @throws EngineError when what the room was told of a model is not what its file says */
export function checkProfile({ model, profile }: ModelChoice, { config }: OpenModel): void {
  const { nLayers, contextLength } = config
  if (profile.nLayers === nLayers && profile.contextLength <= contextLength) return
  throw new EngineError(
    'model-changed',
    `The room was told that ${model.name} has ${profile.nLayers} layers and ${profile.contextLength} positions; its file has ${nLayers} and ${contextLength}. Choose the model again.`,
  )
}

function counted(source: RangeSource, onfetched: (bytes: number) => void): RangeSource {
  return {
    ...source,
    async *stream(start, end, signal) {
      for await (const piece of source.stream(start, end, signal)) {
        onfetched(piece.length)
        yield piece
      }
    },
  }
}
