import { describe, it } from 'vitest'
import { linkCases } from './link.contract.ts'
import { createMemoryLinks } from './memory-link.ts'

describe('memory link', () => {
  for (const { name, run } of linkCases) it(name, () => run(async () => createMemoryLinks()))
})
