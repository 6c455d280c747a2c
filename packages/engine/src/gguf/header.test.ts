import { readdirSync, readFileSync } from 'node:fs'
import { gguf } from '@huggingface/gguf'
import { describe, expect, it } from 'vitest'
import { EngineError } from '../errors.ts'
import { createPrng } from '../model/prng.ts'
import { bytesSource } from '../testing/bytes-source.ts'
import { writeGguf } from '../testing/gguf-writer.ts'
import { hasSharedFiles, noSharedFiles, sharedPath } from '../testing/shared-files.ts'
import { tinyModel } from '../testing/tiny-model.ts'
import { type GgufHeader, readHeader } from './header.ts'

const demo = readFileSync(new URL('../../../../public/models/demo-q8_0.gguf', import.meta.url))

/** The same header by @huggingface/gguf, in our words. */
async function theirs(
  bytes: Uint8Array,
): Promise<Pick<GgufHeader, 'metadata' | 'headerBytes'> & { tensors: object[] }> {
  const { metadata, tensorInfos, tensorDataOffset, tensorInfoByteRange } = await gguf(
    'https://example.org/m.gguf',
    {
      fetch: async (_, init) => {
        const range = new Headers(init?.headers).get('range')!
        const [, start, end] = /bytes=(\d+)-(\d+)/.exec(range)!
        return new Response(bytes.slice(Number(start), Number(end) + 1), { status: 206 })
      },
    },
  )
  // kept by the package among the metadata
  const preamble = ['version', 'tensor_count', 'kv_count']
  return {
    metadata: Object.fromEntries(Object.entries(metadata).filter(([key]) => !preamble.includes(key))),
    headerBytes: tensorInfoByteRange[1],
    tensors: tensorInfos.map(({ name, shape, offset }) => ({
      name,
      shape: shape.map(Number),
      offset: Number(tensorDataOffset + offset),
    })),
  }
}

/** @huggingface/gguf loses byte order marks at the start of strings. */
const withoutMarks = (metadata: Record<string, unknown>) =>
  Object.fromEntries(
    Object.entries(metadata).map(([key, value]) => [
      key,
      Array.isArray(value)
        ? value.map((item: unknown) => (typeof item === 'string' ? item.replace(/^\uFEFF/, '') : item))
        : value,
    ]),
  )

const caught = async (promise: Promise<unknown>): Promise<EngineError> => {
  const thrown: unknown = await promise.then(
    () => null,
    (error: unknown) => error,
  )
  expect(thrown).toBeInstanceOf(EngineError)
  return thrown as EngineError
}

describe('the header of the demo model', () => {
  it('is what @huggingface/gguf reads', async () => {
    const ours = await readHeader(bytesSource(demo, { revision: 'abc' }))
    const { tensors, ...rest } = await theirs(demo)
    expect(ours).toMatchObject({ ...rest, sizeBytes: demo.length, revision: 'abc' })
    expect(ours.tensors).toMatchObject(tensors)
  })

  it('names first and last tensor with type, shape and bytes', async () => {
    const { tensors } = await readHeader(bytesSource(demo))
    expect(tensors[0]).toEqual({
      name: 'token_embd.weight',
      type: 'Q8_0',
      shape: [256, 2048],
      offset: 65_696,
      byteLength: 557_056,
    })
    const last = tensors.at(-1)!
    expect(last.offset + last.byteLength).toBe(demo.length)
  })
})

describe.skipIf(!hasSharedFiles)(`golden headers (${hasSharedFiles ? 'golden' : noSharedFiles})`, () => {
  const files = ['golden/models', 'golden/vocab'].flatMap((folder) =>
    hasSharedFiles
      ? readdirSync(sharedPath(folder))
          .filter((name) => name.endsWith('.gguf'))
          .map((name) => `${folder}/${name}`)
      : [],
  )
  it.each(files)('%s is what @huggingface/gguf reads, and its tensors fill the file', async (name) => {
    const bytes = readFileSync(sharedPath(name))
    const ours = await readHeader(bytesSource(bytes))
    const { tensors, ...rest } = await theirs(bytes)
    expect({ ...ours, metadata: withoutMarks(ours.metadata) }).toMatchObject(rest)
    expect(ours.tensors).toMatchObject(tensors)
    for (const [i, tensor] of ours.tensors.entries()) {
      const next = ours.tensors[i + 1]?.offset ?? bytes.length
      expect(Math.ceil((tensor.offset + tensor.byteLength) / 32) * 32).toBe(next)
    }
  })
})

describe('reading', () => {
  const long = writeGguf({ words: Array.from({ length: 200_000 }, (_, i) => `word ${i} — 字 🙂`) }, [])

  it('asks for no byte twice and stops soon after the header', async () => {
    for (const bytes of [demo, long]) {
      const source = bytesSource(bytes)
      const { headerBytes } = await readHeader(source)
      let end = 0
      for (const request of source.requests) {
        expect(request.start).toBe(end)
        end = request.end
      }
      expect(end).toBeLessThanOrEqual(Math.max(256 * 1024, 2 * headerBytes))
    }
  })

  it('keeps strings whole where pieces end inside them', async () => {
    const { metadata } = await readHeader(bytesSource(long))
    const words = metadata['words'] as string[]
    expect(words.length).toBe(200_000)
    expect(words.findIndex((word, i) => word !== `word ${i} — 字 🙂`)).toBe(-1)
  })

  it('says where the header ends: no byte after that is needed', async () => {
    const header = await readHeader(bytesSource(demo))
    const blank = demo.slice().fill(0, header.headerBytes)
    expect(await readHeader(bytesSource(blank))).toEqual(header)
    const shorter = demo.slice().fill(0, header.headerBytes - 8)
    expect(await readHeader(bytesSource(shorter))).not.toEqual(header)
  })

  it('keeps byte order marks and replaces what is not UTF-8', async () => {
    const words = ['\uFEFF', 'a', '\uFEFFb']
    expect((await readHeader(bytesSource(writeGguf({ words }, [])))).metadata['words']).toEqual(words)
    const bytes = writeGguf({ words: ['aé', 'b'] }, [])
    const at = bytes.lastIndexOf(0xc3)
    bytes[at] = 0x61 // the second byte of é now stands alone
    expect((await readHeader(bytesSource(bytes))).metadata['words']).toEqual(['aa\uFFFD', 'b'])
  })

  it('does not mend a character that two strings share', async () => {
    const bytes = writeGguf({ words: ['ax', 'yb'] }, [])
    bytes[bytes.lastIndexOf(0x78)] = 0xc3 // together these would be é
    bytes[bytes.lastIndexOf(0x79)] = 0xa9
    expect((await readHeader(bytesSource(bytes))).metadata['words']).toEqual(['a\uFFFD', '\uFFFDb'])
  })

  it('takes any key for a key', async () => {
    const { metadata } = await readHeader(bytesSource(writeGguf({ ['__proto__']: ['x'] }, [])))
    expect(Object.entries(metadata)).toEqual([['__proto__', ['x']]])
  })

  it('stops when told to', async () => {
    const error = await caught(readHeader(bytesSource(demo), { signal: AbortSignal.abort() }))
    expect(error.code).toBe('aborted')
  })
})

describe('what is refused', () => {
  it.each([
    ['a web page', new TextEncoder().encode('<!DOCTYPE html>'), 'not-gguf', /"<!DO" \(3c 21 44 4f\)/],
    ['an empty file', new Uint8Array(0), 'not-gguf', /empty/],
    ['2⁶⁰ tensors in 24 bytes', preamble(3, 2n ** 60n, 0n), 'not-gguf', /1152921504606846976 tensors/],
    ['2⁶⁰ keys in 24 bytes', preamble(3, 0n, 2n ** 60n), 'not-gguf', /1152921504606846976 metadata keys/],
    ['1000 tensors in 24 bytes', preamble(3, 1000n, 0n), 'model-truncated', /24 bytes/],
    ['a big-endian file', preamble(0x0300_0000, 0n, 0n), 'unsupported-model', /big-endian/],
    ['version 1', preamble(1, 0n, 0n), 'unsupported-model', /version 1/],
    ['a split file', writeGguf({ 'split.count': 3 }, []), 'unsupported-model', /one of 3 parts/],
    ['a tensor twice', writeGguf({}, [square('w'), square('w')]), 'not-gguf', /tensor "w" appears twice/],
    [
      'a key twice',
      renamed(writeGguf({ keyA: 1, keyB: 2 }, []), 'keyB', 'keyA'),
      'not-gguf',
      /"keyA" appears twice/,
    ],
    [
      'a tensor out of line',
      writeGguf({ 'general.alignment': 64 }, [square('v', 2), square('w')]),
      'not-gguf',
      /not a multiple of 64/,
    ],
    ['arrays in arrays in arrays', nestedArrays(3), 'not-gguf', /more than two deep/],
    ['an odd alignment', writeGguf({ 'general.alignment': 7 }, []), 'not-gguf', /general.alignment/],
    ['a huge shape', withTensor({ shape: [2 ** 40, 2 ** 40] }), 'not-gguf', /impossible shape/],
    ['a row of half a block', withTensor({ typeId: 8, shape: [48, 1] }), 'not-gguf', /48 × 1 for Q8_0/],
    ['five dimensions', withTensor({ shape: [1, 1, 1, 1, 1] }), 'not-gguf', /5 dimensions/],
    ['an unknown type', withTensor({ typeId: 99 }), 'unsupported-model', /"w".*99/],
    [
      'a tensor beyond the end',
      withTensor({ shape: [64, 64] }),
      'model-truncated',
      /promises \d+ bytes.*file has \d+/,
    ],
  ])('%s, in a sentence', async (_, bytes, code, message) => {
    const error = await caught(readHeader(bytesSource(bytes)))
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) as unknown })
  })

  it('a string that goes on beyond the file', async () => {
    const bytes = writeGguf({ name: 'word' }, [])
    const view = new DataView(bytes.buffer)
    view.setBigUint64(24 + 8 + 4 + 4, 2n ** 40n, true)
    expect((await caught(readHeader(bytesSource(bytes)))).message).toMatch(/a string of 1099511627776 bytes/)
  })

  it('a header cut anywhere', async () => {
    const whole = tinyModel()
    const { headerBytes } = await readHeader(bytesSource(whole))
    for (let length = 4; length < headerBytes; length += 97) {
      expect((await caught(readHeader(bytesSource(whole.subarray(0, length))))).code).toBe('model-truncated')
    }
  })

  it('a source that ends before the size it described', async () => {
    const error = await caught(readHeader(bytesSource(demo.subarray(0, 1000), { sizeBytes: demo.length })))
    expect(error.code).toBe('model-truncated')
  })

  it('random damage: always a header or an EngineError', async () => {
    const whole = tinyModel({ nLayers: 1 })
    const { headerBytes } = await readHeader(bytesSource(whole))
    const random = createPrng(20_260)
    const codes = new Map<string, number>()
    for (let round = 0; round < 600; round++) {
      const bytes = whole.slice()
      for (let i = 0; i <= random() * 4; i++) bytes[Math.floor(random() * headerBytes)] = random() * 256
      try {
        await readHeader(bytesSource(bytes))
      } catch (error) {
        expect(error).toBeInstanceOf(EngineError)
        const { code } = error as EngineError
        codes.set(code, (codes.get(code) ?? 0) + 1)
      }
    }
    expect(codes.get('not-gguf')).toBeGreaterThan(10)
    expect(codes.get('model-truncated')).toBeGreaterThan(10)
  })
})

function preamble(version: number, tensors: bigint, keys: bigint): Uint8Array {
  const bytes = new Uint8Array(24)
  const view = new DataView(bytes.buffer)
  bytes.set(new TextEncoder().encode('GGUF'))
  view.setUint32(4, version, true)
  view.setBigUint64(8, tensors, true)
  view.setBigUint64(16, keys, true)
  return bytes
}

function square(name: string, size = 4) {
  return { name, typeId: 0, shape: [size, size], bytes: new Uint8Array(4 * size * size) }
}

function withTensor(tensor: { typeId?: number; shape?: number[] }): Uint8Array {
  return writeGguf({}, [{ ...square('w'), ...tensor }])
}

/** The last `from` in the file becomes `to`, which is as long. */
function renamed(bytes: Uint8Array, from: string, to: string): Uint8Array {
  const at = Buffer.from(bytes).lastIndexOf(from)
  bytes.set(new TextEncoder().encode(to), at)
  return bytes
}

/** One key whose value is an array of an array of … nothing. */
function nestedArrays(depth: number): Uint8Array {
  const bytes = new Uint8Array(24 + 9 + 4 + 12 * depth)
  const view = new DataView(bytes.buffer)
  bytes.set(preamble(3, 0n, 1n))
  view.setBigUint64(24, 1n, true)
  bytes[32] = 0x6b
  view.setUint32(33, 9, true)
  for (let i = 0; i < depth; i++) {
    const isLast = i === depth - 1
    view.setUint32(37 + 12 * i, isLast ? 0 : 9, true)
    view.setBigUint64(41 + 12 * i, isLast ? 0n : 1n, true)
  }
  return bytes
}
