/**
 * What every view may use, made once and handed down.
 *
 * @module
 */
import { createContext, useContext } from 'solid-js'
import { createChat, type Chat } from './chat.ts'
import { followCluster, type Cluster, type ClusterState } from './cluster.ts'
import { createInstallation, type Installation } from './installation.ts'
import { createModels, type Models } from './models.ts'
import type { Overrides } from './overrides.ts'
import { seatsOf } from './seats.ts'
import { createWake, type Wake } from './wake.ts'

export type Page = {
  cluster: Cluster
  /** A Solid store: reading a field in a view subscribes to it. */
  state: ClusterState
  chat: Chat
  models: Models
  installation: Installation
  wake: Wake
  /** Says a sentence to people who listen to the page; polite, one at a time. */
  announce: (sentence: string) => void
}

/** Models that answer families well sample a little; engineers and tests ask for less. */
const defaultTemperature = 0.7
const defaultMaxTokens = 1024

/** To be called inside a component: what it makes lives as long as that. */
export function createPage(
  cluster: Cluster,
  overrides: Overrides,
  storage: Storage | null,
  announce: Page['announce'],
): Page {
  const state = followCluster(cluster)
  const sampling = {
    temperature: overrides.temperature ?? defaultTemperature,
    maxTokens: overrides.maxTokens ?? defaultMaxTokens,
    ...(overrides.drafts === null ? {} : { drafts: overrides.drafts }),
  }
  const chat = createChat(cluster, sampling, storage)
  const isServing = () =>
    chat.busy() || seatsOf(state).some(({ isThisDevice, isInRing }) => isThisDevice && isInRing)
  return {
    cluster,
    state,
    chat,
    models: createModels(cluster, state),
    installation: createInstallation(),
    wake: createWake(isServing),
    announce,
  }
}

export const PageContext = createContext<Page>()

/** @throws when a view is drawn outside of a page: a mistake in the program */
export function usePage(): Page {
  const page = useContext(PageContext)
  if (!page) throw new Error('a view needs a PageContext around it')
  return page
}
