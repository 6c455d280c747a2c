/**
 * What every link does, as cases without a test runner: Node runs them through vitest, Chromium in a page or a worker.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import { maxFrameBytes, type Link } from './link.ts'
import { pieceBytes } from './pieces.ts'

export type LinkCase = { name: string; run(create: () => Promise<[Link, Link]>): Promise<void> }

const frameOf = (...bytes: number[]) => Uint8Array.from(bytes)

function expectThat(condition: boolean, sentence: string): asserts condition {
  if (!condition) throw new Error(sentence)
}

/** Collects frames; `frames(n)` resolves with the first n, `closed` when the link is gone. */
function listener(link: Link) {
  const received: Uint8Array[] = []
  let wake = () => {}
  let onclosed = () => {}
  const closed = new Promise<void>((resolve) => (onclosed = resolve))
  link.listen({
    onframe(frame) {
      received.push(frame)
      wake()
    },
    onclose: () => onclosed(),
  })
  return {
    closed,
    async frames(n: number) {
      while (received.length < n) await new Promise<void>((resolve) => (wake = resolve))
      return received
    },
  }
}

export const linkCases: LinkCase[] = [
  {
    name: 'frames arrive whole and in order, both ways',
    async run(create) {
      const [alice, bob] = await create()
      const [atAlice, atBob] = [listener(alice), listener(bob)]
      for (let i = 0; i < 200; i++) await alice.send(frameOf(i, i + 1))
      await bob.send(frameOf(99))
      const frames = await atBob.frames(200)
      expectThat(
        frames.every((frame, i) => frame.length === 2 && frame[0] === i && frame[1] === ((i + 1) & 0xff)),
        'a frame was lost, cut or overtaken',
      )
      expectThat((await atAlice.frames(1))[0]![0] === 99, 'the way back is broken')
      alice.close()
    },
  },
  {
    name: 'frames that come before anybody listens wait',
    async run(create) {
      const [alice, bob] = await create()
      await alice.send(frameOf(1))
      await alice.send(frameOf(2))
      await new Promise((resolve) => setTimeout(resolve, 30))
      const frames = await listener(bob).frames(2)
      expectThat(frames[0]![0] === 1 && frames[1]![0] === 2, 'early frames were lost or turned round')
      alice.close()
    },
  },
  {
    name: 'the largest frame passes, a larger one is refused',
    async run(create) {
      const [alice, bob] = await create()
      const largest = new Uint8Array(maxFrameBytes).fill(7)
      await alice.send(largest)
      const [frame] = await listener(bob).frames(1)
      expectThat(
        frame!.length === maxFrameBytes && frame!.every((byte) => byte === 7),
        'the frame was changed',
      )
      const refused = await alice.send(new Uint8Array(maxFrameBytes + 1)).catch((error: unknown) => error)
      expectThat(refused instanceof RangeError, `a frame too large gave ${String(refused)}`)
      alice.close()
    },
  },
  {
    name: 'frames as long as one piece, or several, or a byte more or less, arrive as they were',
    async run(create) {
      const [alice, bob] = await create()
      const lengths = [pieceBytes - 1, pieceBytes, pieceBytes + 1, 3 * pieceBytes, 3 * pieceBytes + 1]
      for (const [i, length] of lengths.entries()) await alice.send(new Uint8Array(length).fill(i))
      const frames = await listener(bob).frames(lengths.length)
      expectThat(
        frames.every((frame, i) => frame.length === lengths[i] && frame.every((byte) => byte === i)),
        `frames of ${frames.map(({ length }) => length).join(', ')} bytes came`,
      )
      alice.close()
    },
  },
  {
    name: 'the receiver owns the bytes: changing the sent buffer afterwards changes nothing',
    async run(create) {
      const [alice, bob] = await create()
      const frame = frameOf(1, 2, 3)
      const sent = alice.send(frame)
      frame.fill(9)
      await sent
      expectThat((await listener(bob).frames(1))[0]![0] === 1, 'the sender still owned the bytes')
      alice.close()
    },
  },
  {
    name: 'sixteen MiB in a hurry arrive without loss: sending waits when the queue is long',
    async run(create) {
      const [alice, bob] = await create()
      const atBob = listener(bob)
      const frames = 96
      for (let i = 0; i < frames; i++) await alice.send(new Uint8Array(maxFrameBytes - 8).fill(i))
      const received = await atBob.frames(frames)
      expectThat(
        received.every((frame, i) => frame[0] === i && frame.at(-1) === i),
        'a frame was lost or overtaken',
      )
      alice.close()
    },
  },
  {
    name: 'closing one end tells both, and sending afterwards is link-lost',
    async run(create) {
      const [alice, bob] = await create()
      const [atAlice, atBob] = [listener(alice), listener(bob)]
      bob.close()
      await Promise.all([atAlice.closed, atBob.closed])
      const refused = await alice.send(frameOf(1)).catch((error: unknown) => error)
      expectThat(
        refused instanceof EngineError && refused.code === 'link-lost',
        `sending gave ${String(refused)}`,
      )
    },
  },
]
