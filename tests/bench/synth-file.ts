/**
 * Models for one run, made when needed and gone afterwards.
 *
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { writeSynthFile } from '../../packages/engine/src/node/synth-file.ts'
import {
  modelShapes,
  synthModel,
  type ModelShape,
  type Recipe,
} from '../../packages/engine/src/testing/synth/index.ts'
import { fileContent, serveRanges, synthContent } from '../cluster/serve-ranges.ts'

export const shapeName = 'hearth-1.1b'

/** Lets `use` have the model as a file and behind a URL. @param changes to the shape */
export async function withModel<T>(
  type: Recipe,
  changes: Partial<ModelShape>,
  use: (model: { file: string; url: string }) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(path.join(tmpdir(), 'hearth-bench-'))
  try {
    const file = path.join(folder, `${shapeName}-${type}.gguf`)
    await writeSynthFile(file, synthModel({ ...modelShapes[shapeName], ...changes }, type))
    const server = await serveRanges(await fileContent(file))
    try {
      return await use({ file, url: server.url })
    } finally {
      await server.close()
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Lets `use` have a model behind a URL, made as it is asked for. */
export async function withServedModel<T>(
  type: Recipe,
  shape: ModelShape,
  use: (url: string) => Promise<T>,
): Promise<T> {
  const server = await serveRanges(synthContent(synthModel(shape, type)))
  try {
    return await use(server.url)
  } finally {
    await server.close()
  }
}
