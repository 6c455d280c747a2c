import type { Place } from './pages/link.ts'
import { test } from './browser-test.ts'

const places: Record<Place, string> = {
  page: 'on the page',
  worker: 'transferred to a worker',
  bridge: 'bridged to a worker',
}

for (const [place, where] of Object.entries(places) as [Place, string][]) {
  test(`a data channel ${where} is a link`, async ({ page, pagesUrl }) => {
    await page.goto(`${pagesUrl}link.html`)
    for (const name of await page.evaluate(() => window.linkCaseNames)) {
      await test.step(name, () =>
        page.evaluate(([place, name]) => window.runLinkCase(place, name), [place, name] as const),
      )
    }
  })
}
