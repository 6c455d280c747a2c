/**
 * Good numbers of layers for more than eight devices: as `share-search.ts`, but every device of the ring is taken to
 * hop as far as to its nearest neighbour. A rule and no proof.
 *
 * @module
 */
import { leastTpotNs } from './least-bound.ts'
import { createPartTable } from './part-table.ts'
import { addDevice, type ShareProblem, type Shares } from './share-search.ts'
import { nearestNeighbours } from './ring-order.ts'

/** Rounds are tried until so many brought nothing. */
const patience = 2

/**
 * @param belowNs only shares that take less are of interest
 * @returns shares in the order of nearest neighbours from the head on; null when nothing takes less
 */
export function estimateShares(problem: ShareProblem, belowNs: number): Shares | null {
  let best: { tpotNs: number; search: ReturnType<typeof createEstimate> } | null = null
  for (let rounds = 1, vain = 0; rounds <= problem.nLayers && vain < patience; rounds++) {
    const search = createEstimate(problem, rounds)
    const leastNs: number = best?.tpotNs ?? belowNs
    const tpotNs = leastTpotNs(search.leastPathNs, search.readsNs, leastNs)
    vain++
    if (tpotNs < leastNs) [best, vain] = [{ tpotNs, search }, 0]
  }
  return best === null ? null : best.search.sharesOf(best.tpotNs)
}

function createEstimate({ nLayers, figures, hopNs }: ShareProblem, rounds: number) {
  const tablesFor = (isHead: boolean) =>
    figures.map((each) => createPartTable(each, { nLayers, rounds, isHead }))
  const tables = tablesFor(false)
  const headTables = tablesFor(true)
  const nearestNs = hopNs.map((row, from) => Math.min(...row.filter((_, to) => to !== from)))

  /** Device after device: what they take that share out so many layers, without and with a head among them. */
  function allocate(boundNs: number) {
    const first = { headless: emptyColumn(nLayers), headed: emptyColumn(nLayers) }
    first.headless.costNs[0] = 0
    const columns = [first]
    for (const [device, table] of tables.entries()) {
      const last = columns.at(-1) ?? first
      const hopsNs = rounds * (nearestNs[device] ?? 0)
      const own = table.pathNs(boundNs).map((ns) => ns + hopsNs)
      const asHead = headTables[device]?.pathNs(boundNs).map((ns) => ns + hopsNs) ?? own
      const next = { headless: keep(last.headless), headed: keep(last.headed) }
      addDevice(last.headless.costNs, own, next.headless)
      addDevice(last.headed.costNs, own, next.headed)
      const headed = emptyColumn(nLayers)
      addDevice(last.headless.costNs, asHead, headed)
      // A head without layers hops too.
      for (const [layers, ns] of last.headless.costNs.entries()) {
        const withHead = ns + (asHead[0] ?? Infinity)
        if (withHead >= (headed.costNs[layers] ?? 0)) continue
        headed.costNs[layers] = withHead
        headed.choice[layers] = 0
      }
      for (const [layers, ns] of headed.costNs.entries()) {
        if (ns >= (next.headed.costNs[layers] ?? 0)) continue
        next.headed.costNs[layers] = ns
        next.headed.choice[layers] = headed.choice[layers] ?? 0
        next.headed.becameHead[layers] = 1
      }
      columns.push(next)
    }
    return columns
  }

  return {
    leastPathNs: (boundNs: number): number => allocate(boundNs).at(-1)?.headed.costNs[nLayers] ?? Infinity,
    readsNs: [...tables, ...headTables].map((table) => table.readsNs),
    sharesOf(boundNs: number): Shares {
      const columns = allocate(boundNs)
      const layers = new Map<number, number>()
      let head = -1
      let rest = nLayers
      for (let device = figures.length - 1; device >= 0; device--) {
        const column = head === -1 ? columns[device + 1]?.headed : columns[device + 1]?.headless
        const share = column?.choice[rest] ?? 0
        if (column?.becameHead[rest] === 1) head = device
        if (share > 0) layers.set(device, share)
        rest -= share
      }
      const order = nearestNeighbours(hopNs, head).filter((device) => layers.has(device))
      const parts = order.map((device) => {
        const own = layers.get(device) ?? 0
        const table = device === head ? headTables[device] : tables[device]
        return { device, layers: own, gpuLayers: table?.gpuLayers(own, boundNs) ?? 0 }
      })
      return { head, rounds, parts }
    },
  }
}

type Column = { costNs: Float64Array; choice: Uint16Array; becameHead: Uint8Array }

const emptyColumn = (nLayers: number): Column => ({
  costNs: new Float64Array(nLayers + 1).fill(Infinity),
  choice: new Uint16Array(nLayers + 1),
  becameHead: new Uint8Array(nLayers + 1),
})

/** The same without the next device. */
const keep = ({ costNs }: Column): Column => ({
  ...emptyColumn(costNs.length - 1),
  costNs: Float64Array.from(costNs),
})
