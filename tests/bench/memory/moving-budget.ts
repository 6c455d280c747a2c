/**
 * A long answer while people change what their devices may use.
 *
 * @module
 */
import type { RunningCluster } from '../../cluster/run-cluster.ts'
import { modelShapes } from '../../../packages/engine/src/testing/synth/index.ts'
import { withServedModel } from '../synth-file.ts'
import { withRoom, type Log } from './room.ts'

export type MovingBudget = {
  tokens: number
  moves: number
  sameText: boolean
  /** Of all engines together: after the moves ÷ before. */
  memoryShare: number
  /**
   * Of all browsers, where they run in control groups: after the third such answer ÷ after the second. WASM memory does
   * not shrink, so what a larger budget once took stays with the browser, but not more of it each time; and what a
   * browser takes to compile is gone after the second.
   */
  realShare: number | null
}

const budgetBytes = 220e6
/** Of the budget, in turns, until the answer is over; then the whole again. */
const steps = [0.75, 1.4, 0.9, 1.2]
const stepMs = 1500
const settleMs = 3000

export function measureMovingBudget(tokens: number, log: Log): Promise<MovingBudget> {
  const shape = { ...modelShapes['hearth-1.1b'], contextLength: 512 }
  return withServedModel('Q4_K_M', shape, (model) =>
    withRoom({ model, tabs: 2, budgetBytes, log }, async ({ cluster, choose, lift, setBudget }) => {
      await choose()
      // The caps must leave room for the larger of the budgets.
      lift()
      // One conversation, asked twice, needs no more KV cache the second time.
      const ask = () =>
        cluster.chat(0, 'moving-budget', [{ role: 'user', content: 'MEASURE' }], {
          maxTokens: tokens,
          drafts: 'never',
        })
      // A prompt's last row is rounded otherwise among the rows before it than alone, where those are remembered.
      await ask()
      const still = await ask()
      const before = await held(cluster)
      let moves = 0
      const movedAnswer = async () => {
        const answer = ask()
        const isOver = answer.then(() => true)
        while (!(await Promise.race([isOver, pause(stepMs)]))) {
          await setBudget(budgetBytes * steps[moves % steps.length]!)
          moves++
        }
        await setBudget(budgetBytes)
        await cluster.waitUntilReady()
        return { text: (await answer).text, tokens: (await answer).stats.outputTokens }
      }
      const answers = [await movedAnswer(), await movedAnswer()]
      const between = await held(cluster)
      answers.push(await movedAnswer())
      const after = await held(cluster)
      const saidTokens = answers.reduce((sum, { tokens }) => sum + tokens, 0)
      log(`${moves} moves during ${saidTokens} tokens`)
      return {
        tokens: saidTokens,
        moves,
        sameText: answers.every(({ text }) => text === still.text),
        memoryShare: after.memoryBytes / before.memoryBytes,
        realShare: between.realBytes === null ? null : after.realBytes! / between.realBytes,
      }
    }),
  )
}

const pause = (ms: number) => new Promise<false>((resolve) => setTimeout(() => resolve(false), ms))

/** After the browsers gave back what they no longer use, their workers too. */
async function held(cluster: RunningCluster): Promise<{ memoryBytes: number; realBytes: number | null }> {
  for (const page of cluster.pages) {
    const session = await page.context().newCDPSession(page)
    session.on('Target.attachedToTarget', ({ sessionId }) => {
      const message = JSON.stringify({ id: 1, method: 'HeapProfiler.collectGarbage' })
      session.send('Target.sendMessageToTarget', { sessionId, message }).catch(() => {})
    })
    await session.send('Target.setAutoAttach', {
      autoAttach: true,
      waitForDebuggerOnStart: false,
      flatten: false,
    })
    await session.send('HeapProfiler.collectGarbage')
    await session.send('Memory.simulatePressureNotification', { level: 'critical' })
    await pause(settleMs)
    await session.detach()
  }
  const devices = await cluster.figures()
  return {
    memoryBytes: devices.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0),
    realBytes: cluster.groups.length > 0 ? devices.reduce((sum, d) => sum + d.realResidentBytes!, 0) : null,
  }
}
