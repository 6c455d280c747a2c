/**
 * llama.cpp itself, compiled for this processor: the prebuilt binary of node-llama-cpp, on the CPU.
 *
 * @module
 */
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { benchPrompt } from '../../packages/engine/src/node/measure-speed.ts'
import type { Contender, Setup } from './contender.ts'
import { peerPath } from './peers.ts'

/** What is used of node-llama-cpp 3.22.1; the package is not there when types are checked. */
type NodeLlamaCpp = { getLlama(options: Record<string, unknown>): Promise<Llama> }
type Llama = {
  systemInfo: string
  loadModel(options: Record<string, unknown>): Promise<LlamaModel>
  dispose(): Promise<void>
}
type LlamaModel = { createContext(options: Record<string, unknown>): Promise<LlamaContext> }
type LlamaContext = { getSequence(): LlamaSequence }
type LlamaSequence = {
  clearHistory(): Promise<void>
  evaluate(tokens: number[], options: Record<string, unknown>): AsyncIterable<number>
}

export async function openLlamaCpp({ file, threads }: Setup, contextTokens = 2304): Promise<Contender> {
  const entry = pathToFileURL(path.join(peerPath('node-llama-cpp'), 'dist/index.js')).href
  const { getLlama } = (await import(entry)) as NodeLlamaCpp
  const llama = await getLlama({
    gpu: false,
    build: 'never',
    skipDownload: true,
    maxThreads: threads,
    logLevel: 'error',
    progressLogs: false,
  })
  const model = await llama.loadModel({ modelPath: file, gpuLayers: 0, useMmap: true })
  const context = await model.createContext({
    contextSize: contextTokens,
    batchSize: 512,
    sequences: 1,
    threads: { ideal: threads, min: threads },
  })
  const sequence = context.getSequence()
  return {
    name: 'llama.cpp',
    detail: `llama.cpp native, ${llama.systemInfo.trim()}`,
    async answer(promptTokens, genTokens) {
      await sequence.clearHistory()
      // Letters are tokens of their own, by their code (synth's vocabulary).
      const prompt = Array.from(benchPrompt(promptTokens), (letter) => letter.charCodeAt(0))
      const atMs = [performance.now()]
      for await (const _ of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
        atMs.push(performance.now())
        if (atMs.length > genTokens + 1) break
      }
      const [prefillMs = 0, ...tokenMs] = atMs.slice(1).map((at, i) => at - atMs[i]!)
      return { prefillMs, tokenMs }
    },
    close: () => llama.dispose(),
  }
}
