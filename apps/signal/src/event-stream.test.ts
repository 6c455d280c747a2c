import { expect, it } from 'vitest'
import { createEventStream } from './event-stream.ts'

/** A stream, and how often it was told that nobody reads. */
function opened() {
  let gone = 0
  const stream = createEventStream(() => gone++)
  return { stream, gone: () => gone }
}

it('events and signs of life reach who reads, and end', async () => {
  const { stream, gone } = opened()
  stream.send('{"a":1}')
  stream.sendSignOfLife()
  stream.send('[DONE]')
  stream.end()
  stream.send('late')
  expect(await new Response(stream.body).text()).toBe('data: {"a":1}\n\n: still at it\n\ndata: [DONE]\n\n')
  expect(gone()).toBe(0)
})

it('who reads slowly is sent as much as a mebibyte ahead, and then nothing more', async () => {
  const { stream, gone } = opened()
  const reader = stream.body.getReader()
  const text = 'x'.repeat(100_000)
  for (let i = 0; i < 30; i++) {
    stream.send(text)
    await reader.read()
  }
  expect(gone()).toBe(0)
  for (let i = 0; i < 10; i++) stream.send(text)
  expect(gone()).toBe(0)
  for (let i = 0; i < 10; i++) stream.send(text)
  expect(gone()).toBe(1)
  await expect(reader.read()).rejects.toThrow('1048576 bytes of its answer unread')
})

it('who hangs up is sent nothing more', async () => {
  const { stream, gone } = opened()
  await stream.body.cancel()
  stream.send('late')
  stream.end()
  expect(gone()).toBe(1)
})
