import { describe, expect, it } from 'vitest'
import { EngineError } from '../errors.ts'
import { bridgeChannel, createPortLink, type DataChannel } from './channel-link.ts'

/** A channel whose queue is full, which a real one is only after 16 MiB that nobody reads. */
function createFullChannel() {
  const channel = Object.assign(new EventTarget(), {
    binaryType: 'arraybuffer',
    readyState: 'open' as DataChannel['readyState'],
    bufferedAmount: 0,
    bufferedAmountLowThreshold: 0,
    send(): void {
      throw new Error('OperationError: the queue is full')
    },
    close(): void {
      channel.readyState = 'closing'
    },
  })
  return channel
}

describe('a bridge to a channel', () => {
  it('says that it is closed when the channel takes no more frames, so that nobody waits for one', async () => {
    const channel = createFullChannel()
    const { port1, port2 } = new MessageChannel()
    bridgeChannel(channel, port1)
    const link = await createPortLink(port2)
    const closed = new Promise<void>((resolve) => link.listen({ onframe: () => {}, onclose: resolve }))
    const refused = await link.send(Uint8Array.of(1, 2, 3)).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(EngineError)
    expect(refused).toMatchObject({ code: 'link-lost' })
    await closed
    expect(channel.readyState).toBe('closing')
    port1.close()
  })
})
