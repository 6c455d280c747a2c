/**
 * A room as people use it, by its pages: choosing a model, asking, looking at what the devices take.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import path from 'node:path'
import type { ChatMessage, Cluster, ClusterState, GenerateOptions, GenerateStats } from '@hearth/engine'
import type { Plan, PlanRequest } from '@hearth/halda'
import type { Page } from 'playwright'
import type { ClusterOptions } from './cluster-options.ts'
import type { ControlGroup } from './control-groups.ts'
import { deviceFigures, type DeviceFigures } from './device-figures.ts'

/** Longest wait in which nothing happens. */
const readyTimeoutMs = 120_000
const failureStandsMs = 1500

declare global {
  interface Window {
    hearth: Cluster
  }
}

export type AskOptions = Partial<GenerateOptions>

export interface DrivenRoom {
  /**
   * Chooses the model on the first device and waits until everybody sees 'ready'.
   *
   * @param rounds instead of those that the cluster was started with
   * @param layers of each device, likewise; none for those beyond its end
   */
  choose(model: string, rounds?: number, layers?: readonly number[]): Promise<Plan>
  /** Asks from one device; several turns by passing the whole conversation. */
  chat(
    from: number,
    chat: string,
    messages: ChatMessage[],
    options?: AskOptions,
  ): Promise<{ text: string; stats: GenerateStats }>
  state(device: number): Promise<ClusterState>
  waitUntilReady(): Promise<void>
  figures(): Promise<DeviceFigures[]>
}

/** @param synthUrl where a model is served whose name begins with 'synth:' */
export function createDrivenRoom(
  pages: readonly Page[],
  groups: readonly ControlGroup[],
  options: ClusterOptions,
  synthUrl: string | undefined,
): DrivenRoom {
  const state = (device: number) => pages[device]!.evaluate(() => window.hearth.state())

  /** What a person would type or pick for it. */
  function sourceOf(model: string): string {
    if (model === 'demo') return '/models/demo-q8_0.gguf'
    if (synthUrl !== undefined && model.startsWith('synth:')) return synthUrl
    return existsSync(model) ? `/models/${encodeURIComponent(path.basename(model))}` : model
  }

  async function planRequest(
    rounds: number | undefined,
    layers: readonly number[] | undefined,
  ): Promise<PlanRequest> {
    const { split, gpuLayers = [] } = options
    if (layers) {
      const ids = await Promise.all(pages.map(async (_, i) => (await state(i)).device))
      const byDevice = (counts: readonly number[]) => Object.fromEntries(counts.map((n, i) => [ids[i], n]))
      return { split: 'manual', layers: byDevice(layers), gpuLayers: byDevice(gpuLayers), rounds }
    }
    return split === 'even' ? { split, rounds } : { split }
  }

  const waitUntilReady = () => onAll(pages, readyOn)

  /**
   * However long it takes while something happens: 40 GB take minutes. A failure counts once it has stood for a while:
   * the next plan may be on its way.
   */
  async function readyOn(page: Page): Promise<void> {
    const readiness = () => page.evaluate(() => window.hearth.state().readiness)
    for (;;) {
      const seen = await readiness()
      if (seen.phase === 'ready') return
      if (seen.phase !== 'failed' && seen.phase !== 'no-plan') {
        await page.waitForFunction(
          (seen) => JSON.stringify(window.hearth.state().readiness) !== seen,
          JSON.stringify(seen),
          { timeout: readyTimeoutMs, polling: 200 },
        )
        continue
      }
      await new Promise((resolve) => setTimeout(resolve, failureStandsMs))
      const still = await readiness()
      if (still.phase === 'failed' || still.phase === 'no-plan') throw new Error(still.message)
    }
  }

  return {
    state,
    waitUntilReady,
    async choose(model, rounds = options.rounds, layers = options.layers) {
      const source = sourceOf(model)
      const request = await planRequest(rounds, layers)
      await pages[0]!.evaluate(([source, request]) => window.hearth.choose(source, request), [
        source,
        request,
      ] as const)
      await pages[0]!.waitForFunction(
        ([name, rounds]) => {
          const { choice, numbered } = window.hearth.state().room!
          const planned = numbered?.plan.rounds
          return choice?.model.url.endsWith(name) && (rounds ?? planned) === planned
        },
        [path.basename(source), rounds] as const,
        { timeout: readyTimeoutMs },
      )
      await waitUntilReady()
      return (await state(0)).room!.numbered!.plan
    },
    async chat(from, chat, messages, options) {
      const generate = { maxTokens: 200, temperature: 0, topP: 1, seed: 0, ...options }
      return pages[from]!.evaluate(
        async ([chat, messages, generate]) => {
          let text = ''
          for await (const event of window.hearth.generate(chat, messages, generate)) {
            if (event.type === 'token') text += event.text
            if (event.type === 'done') return { text, stats: event.stats }
          }
          throw new Error('The answer ended without its figures.')
        },
        [chat, messages, generate] as const,
      )
    },
    async figures() {
      // A device reports its memory a few times a second.
      await new Promise((resolve) => setTimeout(resolve, 500))
      const states = await Promise.all(pages.map((_, i) => state(i)))
      return states.map((state, i) => deviceFigures(state, groups[i]))
    },
  }
}

/** Once every page has measured itself and reaches every other. */
export async function meetEverybody(pages: readonly Page[]): Promise<void> {
  await onAll(pages, (page) =>
    page.waitForFunction(
      (n) => {
        const { room, links, abilities } = window.hearth.state()
        const open = Object.values(links).filter((phase) => phase === 'open').length
        const measured = room?.devices.filter(
          ({ profile }) => Object.keys(profile?.hopMs ?? {}).length === n - 1,
        )
        return abilities !== null && measured?.length === n && open === n - 1
      },
      pages.length,
      { timeout: readyTimeoutMs },
    ),
  )
}

const onAll = async (pages: readonly Page[], act: (page: Page) => Promise<unknown>) =>
  void (await Promise.all(pages.map(act)))
