import { defineConfig } from '@playwright/test'
import { chromiumArgs, chromiumPath } from './chromium.ts'

// Found once here; the processes that run the tests read it from the environment.
const executablePath = await chromiumPath()
process.env['CHROMIUM_PATH'] = executablePath

export default defineConfig({
  testDir: '.',
  testMatch: ['browser/**/*.spec.ts', 'e2e/**/*.spec.ts'],
  workers: 1,
  timeout: 60_000,
  reporter: 'list',
  use: { launchOptions: { executablePath, args: chromiumArgs } },
})
