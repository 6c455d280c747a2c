import { expect, test } from 'vitest'
import { chromiumPath } from './chromium.ts'

test('a CHROMIUM_PATH that runs is taken, one that does not is refused by name', async () => {
  expect(await chromiumPath({ CHROMIUM_PATH: process.execPath })).toBe(process.execPath)
  await expect(chromiumPath({ CHROMIUM_PATH: '/nowhere/chromium' })).rejects.toThrow(
    '/nowhere/chromium, which does not run',
  )
})
