/**
 * Two connections of one page to itself, and the link contract over their channels: on the page, in a worker that the
 * channels were transferred to, and in a worker that the page bridges them to.
 *
 * @module
 */
import { bridgeChannel, createChannelLink } from '../../../packages/engine/src/ring/channel-link.ts'
import { linkCases } from '../../../packages/engine/src/ring/link.contract.ts'
import type { LinkRun } from './link.worker.ts'

export type Place = 'page' | 'worker' | 'bridge'

declare global {
  interface Window {
    linkCaseNames: string[]
    runLinkCase(place: Place, name: string): Promise<void>
  }
}

window.linkCaseNames = linkCases.map(({ name }) => name)

window.runLinkCase = async (place, name) => {
  const alice = new RTCPeerConnection()
  const bob = new RTCPeerConnection()
  const channels = [alice, bob].map((connection) =>
    connection.createDataChannel('ring', { negotiated: true, id: 1 }),
  ) as [RTCDataChannel, RTCDataChannel]
  try {
    // A channel can be transferred only in the task that creates it, so this comes before connecting.
    const done = place === 'page' ? runHere(name, channels) : runInWorker(place, name, channels)
    await Promise.all([done, connect(alice, bob)])
  } finally {
    alice.close()
    bob.close()
  }
}

function runHere(name: string, [alice, bob]: [RTCDataChannel, RTCDataChannel]): Promise<void> {
  const create = () => Promise.all([createChannelLink(alice), createChannelLink(bob)])
  return linkCases.find((linkCase) => linkCase.name === name)!.run(create)
}

function runInWorker(
  place: 'worker' | 'bridge',
  name: string,
  channels: [RTCDataChannel, RTCDataChannel],
): Promise<void> {
  const worker = new Worker(new URL('./link.worker.ts', import.meta.url), { type: 'module' })
  const ends = place === 'worker' ? channels : channels.map(bridged)
  worker.postMessage({ name, ends } satisfies LinkRun, ends as Transferable[])
  return new Promise<void>((resolve, reject) => {
    worker.addEventListener('message', ({ data }: MessageEvent<string | null>) => {
      if (data === null) resolve()
      else reject(new Error(data))
    })
    worker.addEventListener('error', ({ message }) => reject(new Error(message)))
  }).finally(() => worker.terminate())
}

function bridged(channel: RTCDataChannel): MessagePort {
  const { port1, port2 } = new MessageChannel()
  bridgeChannel(channel as Parameters<typeof bridgeChannel>[0], port1)
  return port2
}

async function connect(alice: RTCPeerConnection, bob: RTCPeerConnection): Promise<void> {
  for (const [from, to] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    from.addEventListener('icecandidate', ({ candidate }) => candidate && void to.addIceCandidate(candidate))
  }
  await alice.setLocalDescription()
  await bob.setRemoteDescription(alice.localDescription!)
  await bob.setLocalDescription()
  await alice.setRemoteDescription(bob.localDescription!)
}
