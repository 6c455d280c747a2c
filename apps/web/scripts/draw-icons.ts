/**
 * Draws the icons of the home screen into public/: one SVG and the PNGs that platforms insist on. Run it after
 * changing the flame: `npm run icons -w apps/web`. Chromium draws, found by Playwright or at CHROMIUM_PATH.
 */
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright'
import { emberOutline, flameOutline } from '../src/ui/flame-outline.ts'

const publicDir = fileURLToPath(new URL('../../../public/', import.meta.url))

/** Corner radius and flame size are shares of the whole. */
const iconOf = ({ corner, flame }: { corner: number; flame: number }): string => {
  const scale = (512 * flame) / 24
  const offset = (512 - 24 * scale) / 2
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 512 512">
  <defs>
    <linearGradient id="fire" x1="0" y1="0" x2="0" y2="1">
      <stop offset="0" stop-color="#ff9a4d"/>
      <stop offset="1" stop-color="#d9531a"/>
    </linearGradient>
  </defs>
  <rect width="512" height="512" rx="${512 * corner}" fill="#2a1d16"/>
  <g transform="translate(${offset} ${offset}) scale(${scale})">
    <path d="${flameOutline}" fill="url(#fire)"/>
    <path d="${emberOutline}" fill="#ffd27a"/>
  </g>
</svg>
`
}

const rounded = iconOf({ corner: 0.22, flame: 0.74 })
// iOS and Android cut their own corners. A maskable icon may lose all but the inner 80 %.
const square = iconOf({ corner: 0, flame: 0.7 })
const maskable = iconOf({ corner: 0, flame: 0.56 })

await writeFile(`${publicDir}icon.svg`, rounded)

const executablePath = process.env['CHROMIUM_PATH']
const browser = await chromium.launch({
  args: ['--no-sandbox'],
  ...(executablePath ? { executablePath } : {}),
})
for (const [name, svg, size] of [
  ['icon-180.png', square, 180],
  ['icon-192.png', rounded, 192],
  ['icon-512.png', rounded, 512],
  ['icon-maskable-512.png', maskable, 512],
] as const) {
  const page = await browser.newPage({ viewport: { width: size, height: size } })
  await page.setContent(
    `<style>body{margin:0}svg{display:block;width:${size}px;height:${size}px}</style>${svg}`,
  )
  await page.screenshot({ path: `${publicDir}${name}`, omitBackground: true })
  await page.close()
}
await browser.close()
