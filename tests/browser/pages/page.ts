/**
 * Starts workers for a spec and calls their methods.
 *
 * @module
 */
import type { Reply } from './served.ts'

declare global {
  interface Window {
    callWorker(script: string, method: string, args: unknown[]): Promise<unknown>
  }
}

const workers = new Map<string, Worker>()
let calls = 0

function workerOf(script: string): Worker {
  const worker = workers.get(script) ?? new Worker(script, { type: 'module' })
  workers.set(script, worker)
  return worker
}

window.callWorker = (script, method, args) =>
  new Promise((resolve, reject) => {
    const worker = workerOf(script)
    const call = ++calls
    const ended = new AbortController()
    const onMessage = ({ data }: MessageEvent<Reply>) => {
      if (data.call !== call) return
      ended.abort()
      if ('error' in data) reject(new Error(data.error))
      else resolve(data.result)
    }
    const onError = ({ message }: ErrorEvent) => {
      ended.abort()
      reject(new Error(`${script}: ${message || 'it could not be loaded'}`))
    }
    worker.addEventListener('message', onMessage, ended)
    worker.addEventListener('error', onError, ended)
    worker.postMessage({ call, method, args })
  })
