import { describe, expect, it } from 'vitest'
import { encodeActivation, encodeProbe } from '../wire.ts'
import { linkCases } from './link.contract.ts'
import { createMemoryLinks } from './memory-link.ts'
import { createProbedLink, type ProbedLink } from './probed-link.ts'

const after = (ms: number) => () => new Promise<void>((resolve) => setTimeout(resolve, ms))

function createProbedLinks(delayMs = 0): [ProbedLink, ProbedLink] {
  const [alice, bob] = createMemoryLinks(delayMs > 0 ? after(delayMs) : undefined)
  return [createProbedLink(alice), createProbedLink(bob)]
}

const received = (link: ProbedLink) => {
  const frames: Uint8Array[] = []
  link.listen({ onframe: (frame) => frames.push(frame), onclose: () => {} })
  return frames
}

describe('a probed link', () => {
  for (const { name, run } of linkCases) it(name, () => run(async () => createProbedLinks()))

  it('says how long a probe takes there and back', async () => {
    const [alice] = createProbedLinks(20)
    const roundTripMs = await alice.probe(encodeProbe(1, 1, 64, 'f16'))
    expect(roundTripMs).toBeGreaterThan(38)
    expect(roundTripMs).toBeLessThan(200)
  })

  it('hands the ring its frames, and neither probes nor echoes', async () => {
    const [alice, bob] = createProbedLinks(1)
    const [atAlice, atBob] = [received(alice), received(bob)]
    const hidden = Float32Array.of(1, 2, 3, 4)
    const frame = encodeActivation({ plan: 1, session: 0, position: 0, layer: 0, rows: 1, hidden }, 'f32')
    const probing = alice.probe(encodeProbe(7, 32, 64, 'f16'))
    await alice.send(frame)
    expect(await probing).not.toBeNull()
    expect(atBob).toEqual([frame])
    expect(atAlice).toEqual([])
  })

  it('knows when the ring last used it; probes do not count', async () => {
    const [alice, bob] = createProbedLinks(1)
    await alice.probe(encodeProbe(1, 1, 64, 'f16'))
    expect([alice.usedAtMs, bob.usedAtMs]).toEqual([-Infinity, -Infinity])
    const atBob = received(bob)
    await alice.send(new Uint8Array(20).fill(1))
    await expect.poll(() => atBob.length).toBe(1)
    expect(alice.usedAtMs).toBeGreaterThan(0)
    expect(bob.usedAtMs).toBeGreaterThanOrEqual(alice.usedAtMs)
  })

  it('gives up on a probe when the link closes, and when no echo comes within a second', async () => {
    const [alice, bob] = createProbedLinks(5)
    const probing = alice.probe(encodeProbe(1, 1, 64, 'f16'))
    bob.close()
    expect(await probing).toBeNull()
    const [deaf] = createMemoryLinks()
    expect(await createProbedLink(deaf).probe(encodeProbe(2, 1, 64, 'f16'))).toBeNull()
  })

  it('echoes one probe at a time, so that a flood fills no queue', async () => {
    const [flooder, end] = createMemoryLinks()
    let echoes = 0
    let letGo = () => {}
    const stuck = new Promise<void>((resolve) => (letGo = resolve))
    createProbedLink({
      ...end,
      send: () => {
        echoes++
        return stuck
      },
    })
    for (let id = 0; id < 50; id++) await flooder.send(encodeProbe(id, 1, 64, 'f16'))
    await after(5)()
    expect(echoes).toBe(1)
    letGo()
    await after(1)()
    await flooder.send(encodeProbe(50, 1, 64, 'f16'))
    await expect.poll(() => echoes).toBe(2)
  })
})
