/**
 * Runs one case of the link contract over the ends that the page hands over.
 *
 * @module
 */
import {
  createChannelLink,
  createPortLink,
  type DataChannel,
} from '../../../packages/engine/src/ring/channel-link.ts'
import { linkCases } from '../../../packages/engine/src/ring/link.contract.ts'

export type LinkRun = { name: string; ends: unknown[] }

addEventListener('message', async ({ data: { name, ends } }: MessageEvent<LinkRun>) => {
  const linkOf = (end: unknown) =>
    end instanceof MessagePort ? createPortLink(end) : createChannelLink(end as DataChannel)
  const [alice, bob] = ends.map(linkOf)
  try {
    await linkCases.find((linkCase) => linkCase.name === name)!.run(() => Promise.all([alice!, bob!]))
    postMessage(null)
  } catch (thrown) {
    postMessage(String(thrown))
  }
})
