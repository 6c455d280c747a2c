/**
 * The engine under Node: models from disk, WASM with worker threads.
 *
 * @module
 */
export { createFileSource } from './file-source.ts'
export { loadModel, type LoadedModel } from './load-model.ts'
export { createNodeHost } from './wasm-host.ts'
