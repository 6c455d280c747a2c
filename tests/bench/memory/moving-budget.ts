/**
 * A long answer while people change what their devices may use.
 *
 * @module
 */
import type { RunningCluster } from '../../cluster/run-cluster.ts'
import { withModel } from '../synth-file.ts'
import { withRoom, type Log } from './room.ts'

export type MovingBudget = {
  tokens: number
  moves: number
  sameText: boolean
  /** Of all engines together, and of all browsers where they run in control groups: after ÷ before. */
  memoryShare: number
  realShare: number | null
}

const budgetBytes = 220e6
/** Of the budget, in turns, until the answer is over; then the whole again. */
const steps = [0.75, 1.4, 0.9, 1.2]
const stepMs = 1500
const settleMs = 3000

export function measureMovingBudget(tokens: number, log: Log): Promise<MovingBudget> {
  return withModel('Q4_K_M', { contextLength: 512 }, ({ url }) =>
    withRoom({ model: url, tabs: 2, budgetBytes, log }, async (room) => {
      await room.choose(url)
      // The caps must leave room for the larger of the budgets.
      for (const group of room.groups) group.limit({ memoryBytes: Infinity })
      // One conversation, asked twice, needs no more KV cache the second time.
      const ask = () =>
        room.chat(0, 'moving-budget', [{ role: 'user', content: 'MEASURE' }], { maxTokens: tokens })
      const still = await ask()
      const before = await held(room)
      let moves = 0
      const moving = ask()
      const isOver = moving.then(() => true)
      while (!(await Promise.race([isOver, pause(stepMs)]))) {
        await setBudgets(room, budgetBytes * steps[moves % steps.length]!)
        moves++
      }
      const moved = await moving
      await setBudgets(room, budgetBytes)
      await pause(settleMs)
      await room.waitUntilReady()
      const after = await held(room)
      log(`${moves} moves during ${moved.stats.outputTokens} tokens`)
      return {
        tokens: moved.stats.outputTokens,
        moves,
        sameText: moved.text === still.text,
        memoryShare: after.memoryBytes / before.memoryBytes,
        realShare: before.realBytes === null ? null : after.realBytes! / before.realBytes,
      }
    }),
  )
}

const pause = (ms: number) => new Promise<false>((resolve) => setTimeout(() => resolve(false), ms))

const setBudgets = (room: RunningCluster, bytes: number) =>
  Promise.all(room.pages.map((page) => page.evaluate((bytes) => window.hearth.setMemoryBudget(bytes), bytes)))

async function held(room: RunningCluster): Promise<{ memoryBytes: number; realBytes: number | null }> {
  const devices = await room.figures()
  return {
    memoryBytes: devices.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0),
    realBytes: room.groups.length > 0 ? devices.reduce((sum, d) => sum + d.realResidentBytes!, 0) : null,
  }
}
