/**
 * The models that the server offers, and choosing one for the room.
 *
 * @module
 */
import { createEffect, createSignal, on } from 'solid-js'
import {
  sentenceOf,
  type Cluster,
  type ClusterState,
  type OfferedModel,
  type PlanRequest,
} from './cluster.ts'

export type Models = ReturnType<typeof createModels>

export function createModels(cluster: Cluster, state: ClusterState) {
  const [offered, setOffered] = createSignal<OfferedModel[]>([])
  const [listProblem, setListProblem] = createSignal<string | null>(null)
  const [choosing, setChoosing] = createSignal(false)
  const [problem, setProblem] = createSignal<string | null>(null)

  async function refresh() {
    try {
      setOffered(await cluster.offeredModels())
      setListProblem(null)
    } catch (thrown) {
      setListProblem(sentenceOf(thrown))
    }
  }

  // The list lives on the server: read when it answers, and again when it is back.
  createEffect(
    on(
      () => state.connection.phase,
      (phase) => {
        if (phase === 'online') void refresh()
      },
    ),
  )

  return {
    offered,
    /** Why there is no list, in a sentence. */
    listProblem,
    choosing,
    /** Why the last choice was refused, in a sentence. */
    problem,
    /** @param source what a person typed or picked: a path of the server, owner/repo/file.gguf or a URL */
    async choose(source: string, request: PlanRequest): Promise<boolean> {
      setChoosing(true)
      setProblem(null)
      try {
        await cluster.choose(source.trim(), request)
        return true
      } catch (thrown) {
        setProblem(sentenceOf(thrown))
        return false
      } finally {
        setChoosing(false)
      }
    },
  }
}
