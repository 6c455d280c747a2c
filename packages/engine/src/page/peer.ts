/**
 * One WebRTC connection to one device, by simple-peer; the only file that knows it. simple-peer's own channel is
 * 'control' (JSON text, stays on the page); the ring's binary channel is opened beside it, negotiated, so that both
 * ends make it themselves and can hand it to their workers at once.
 *
 * @module
 */
import SimplePeer, { type Instance, type SignalData } from 'simple-peer/simplepeer.min.js'

/** Far from the ids 0 and 1 that the browser gives to 'control'. */
const ringChannelId = 100

export type PeerOptions = {
  initiator: boolean
  onsignal(signal: SignalData): void
  /**
   * Called in the task that makes the channel, before `createPeer` returns: only then can it move to a worker (Chromium
   * 156: a moment later it throws DataCloneError).
   */
  onring(channel: RTCDataChannel): void
  onopen(): void
  ontext(text: string): void
  /** Once; after this the peer is gone. */
  onclose(): void
}

export interface Peer {
  /** What is no signal ends the connection. */
  signal(signal: SignalData): void
  /** Dropped when the connection is not open: control messages are repeated or do not matter without a peer. */
  send(text: string): void
  close(): void
}

export function createPeer(options: PeerOptions): Peer {
  const peer: Instance = new SimplePeer({
    initiator: options.initiator,
    channelName: 'control',
    // simple-peer would ask public STUN servers; devices of one house reach each other without.
    config: { iceServers: [] },
  })
  // `_pc` is the one private name used here; simple-peer is pinned for it.
  const connection = (peer as Instance & { _pc: RTCPeerConnection })._pc
  options.onring(connection.createDataChannel('ring', { negotiated: true, id: ringChannelId }))
  peer.on('signal', options.onsignal)
  peer.on('connect', options.onopen)
  peer.on('data', (data: Uint8Array | string) => {
    options.ontext(typeof data === 'string' ? data : new TextDecoder().decode(data))
  })
  // simple-peer always follows an error with 'close'; without a listener it would throw.
  peer.on('error', () => {})
  peer.on('close', options.onclose)
  return {
    signal: (signal) => {
      if (peer.destroyed) return
      try {
        peer.signal(signal)
      } catch (thrown) {
        peer.destroy(thrown as Error)
      }
    },
    send: (text) => {
      try {
        if (peer.connected) peer.send(text)
      } catch {
        // The channel is closing and will say so in a moment.
      }
    },
    close: () => void peer.destroy(),
  }
}
