import { expect, test } from 'vitest'
import { modelUrl } from './model-url.ts'

const origin = 'https://hearth.local:8787'

test('a path is on the server that sent the page', () => {
  expect(modelUrl('/models/demo-q8_0.gguf', origin)).toBe('https://hearth.local:8787/models/demo-q8_0.gguf')
})

test('owner/repository/file.gguf is on Hugging Face, folders and odd characters included', () => {
  expect(modelUrl(' Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-q8_0.gguf ', origin)).toBe(
    'https://huggingface.co/Qwen/Qwen2.5-0.5B-Instruct-GGUF/resolve/main/qwen2.5-0.5b-instruct-q8_0.gguf',
  )
  expect(modelUrl('owner/repo/BF 16/weights+more.GGUF', origin)).toBe(
    'https://huggingface.co/owner/repo/resolve/main/BF%2016/weights%2Bmore.GGUF',
  )
})

test("a file's page on Hugging Face becomes the file itself", () => {
  expect(modelUrl('https://huggingface.co/owner/repo/blob/main/a.gguf', origin)).toBe(
    'https://huggingface.co/owner/repo/resolve/main/a.gguf',
  )
})

test('any other address stays as it is', () => {
  expect(modelUrl('https://example.org/m.gguf?token=1', origin)).toBe('https://example.org/m.gguf?token=1')
  expect(modelUrl('http://nas.local/m.gguf', 'http://localhost:8787')).toBe('http://nas.local/m.gguf')
  expect(modelUrl('http://127.0.0.1:9000/m.gguf', origin)).toBe('http://127.0.0.1:9000/m.gguf')
})

test('plain http under an https page is refused with the way out', () => {
  expect(() => modelUrl('http://nas.local/m.gguf', origin)).toThrow(
    expect.objectContaining({ code: 'model-unreachable', message: expect.stringContaining('https address') }),
  )
})

test.each(['', 'llama', 'owner/repo', '//elsewhere/m.gguf', 'ftp://host/m.gguf', 'https://'])(
  '"%s" is not an address',
  (source) => {
    expect(() => modelUrl(source, origin)).toThrow(expect.objectContaining({ code: 'model-unreachable' }))
  },
)
