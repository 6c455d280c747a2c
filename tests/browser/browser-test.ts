/**
 * Playwright's `test` with what specs in `tests/browser` share: the pages, and browsers that keep their storage.
 *
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test as base, chromium, type BrowserContext, type Page } from '@playwright/test'
import { chromiumArgs, chromiumPath } from '../chromium.ts'
import { servePages } from './pages-server.ts'

/** A browser with a profile on disk, as a person has: private windows would keep OPFS in memory. */
export type Profile = {
  /** A tab on the empty test page. */
  tab(): Promise<Page>
  /** Ends the browser and starts it again with the same profile. */
  restart(): Promise<void>
}

export const test = base.extend<{ profile: Profile }, { pagesUrl: string }>({
  pagesUrl: [
    // oxlint-disable-next-line no-empty-pattern -- Playwright reads the fixtures that are wanted from the pattern
    async ({}, use) => {
      const server = await servePages()
      await use(server.url)
      await server.close()
    },
    { scope: 'worker' },
  ],

  profile: async ({ pagesUrl }, use) => {
    const folder = await mkdtemp(join(tmpdir(), 'hearth-profile-'))
    const launch = async (): Promise<BrowserContext> =>
      chromium.launchPersistentContext(folder, {
        executablePath: await chromiumPath(),
        args: chromiumArgs,
      })
    let context = await launch()
    await use({
      async tab() {
        const page = await context.newPage()
        await page.goto(pagesUrl)
        return page
      },
      async restart() {
        await context.close()
        context = await launch()
      },
    })
    await context.close()
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  },
})
