/**
 * One device alone: a ring whose only window holds every layer, so that the token loop is the same as in a house.
 *
 * @module
 */
import type { DeviceId, Plan } from '@hearth/halda'
import { joinRing, type Ring } from '../ring/ring.ts'
import type { LoadedModel } from './load-model.ts'

export function ringOfOne({ config, layers }: LoadedModel): Ring {
  const me = 'alone-here' as DeviceId
  const plan: Plan = {
    head: me,
    rounds: 1,
    windows: [{ device: me, firstLayer: 0, layers: config.nLayers, gpuLayers: 0 }],
    predictedTpotMs: 0,
  }
  const ring = joinRing({
    me,
    numbered: { number: 1, plan },
    dim: config.dim,
    dtype: 'f32',
    layers,
    linkTo: () => undefined,
    onfailed: (session, error) => ring.fail(error, session),
  })
  return ring
}
