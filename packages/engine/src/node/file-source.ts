/**
 * A model in a file on this machine.
 *
 * @module
 */
import { open, stat } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { EngineError } from '../errors.ts'
import type { RangeSource } from '../store/source.ts'

const pieceBytes = 1024 * 1024

/** Its revision is size and time of change; a file that changes while it is read is 'model-changed'. */
export function createFileSource(path: string): RangeSource {
  let described: Promise<{ sizeBytes: number; revision: string }> | undefined

  async function look() {
    const stats = await stat(path).catch((cause: unknown) => {
      const { code } = cause as NodeJS.ErrnoException
      const why = code === 'ENOENT' ? 'there is no such file' : `the system says ${code}`
      throw new EngineError('model-unreachable', `${path} cannot be read: ${why}. Check its path.`, { cause })
    })
    if (!stats.isFile())
      throw new EngineError('model-unreachable', `${path} is not a file. Give a .gguf file.`)
    return { sizeBytes: stats.size, revision: `${stats.size}-${Math.round(stats.mtimeMs)}` }
  }

  const describe = () => (described ??= look())

  async function* stream(start: number, end: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const { sizeBytes, revision } = await describe()
    if ((await look()).revision !== revision) {
      throw new EngineError(
        'model-changed',
        `${path} has changed since it was opened. Start again to read it anew.`,
      )
    }
    if (end > sizeBytes) throw truncated(path, end, sizeBytes)
    const file = await open(path)
    try {
      for (let at = start; at < end;) {
        if (signal?.aborted) throw new EngineError('aborted', `Reading ${path} was stopped.`)
        const piece = new Uint8Array(Math.min(pieceBytes, end - at))
        const { bytesRead } = await file.read(piece, 0, piece.length, at)
        if (bytesRead === 0) throw truncated(path, end, at)
        at += bytesRead
        yield piece.subarray(0, bytesRead)
      }
    } finally {
      await file.close()
    }
  }

  return { url: pathToFileURL(path).href, describe, stream }
}

function truncated(path: string, wanted: number, sizeBytes: number): EngineError {
  return new EngineError(
    'model-truncated',
    `${path} ends at byte ${sizeBytes}, but ${wanted} bytes are needed: ${wanted - sizeBytes} are missing. It was probably not copied to the end.`,
  )
}
