/**
 * node --import tsx llama-child.ts FILE THREADS PROMPT_TOKENS TOKENS
 *
 * llama.cpp alone in a process, so that its memory can be capped; prints what it took as JSON.
 *
 * @module
 */
import { openLlamaCpp } from '../llama-cpp.ts'

const [file, ...numbers] = process.argv.slice(2)
const [threads, promptTokens, tokens] = numbers.map(Number)
const engine = await openLlamaCpp({ file: file!, url: '', threads: threads! }, 512)
const { prefillMs, tokenMs } = await engine.answer(promptTokens!, tokens!)
console.log(JSON.stringify({ prefillMs, tokenMs, detail: engine.detail }))
await engine.close()
