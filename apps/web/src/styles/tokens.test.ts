import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

type Theme = Record<string, string>

const css = readFileSync(new URL('tokens.css', import.meta.url), 'utf8')
const [lightCss = '', darkCss = ''] = css.split('@media (prefers-color-scheme: dark)')
const coloursIn = (text: string): Theme =>
  Object.fromEntries(
    Array.from(text.matchAll(/--([a-z-]+):\s*(#[0-9a-f]{6})/g), ([, name, hex]) => [name, hex]),
  )
const themes: Record<string, Theme> = { light: coloursIn(lightCss), dark: coloursIn(darkCss) }

/** Relative luminance and contrast as WCAG 2.2 defines them. */
function contrast(one: string, other: string): number {
  const luminance = (hex: string) => {
    const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
      const channel = Number.parseInt(hex.slice(at, at + 2), 16) / 255
      return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const [light, dark] = [luminance(one), luminance(other)].toSorted((a, b) => b - a) as [number, number]
  return (light + 0.05) / (dark + 0.05)
}

/** Text on its ground, everywhere that the style sheets put one on the other; 4.5 : 1 is AA. */
const texts = [
  ['ink', 'paper'],
  ['ink', 'surface'],
  ['ink', 'sunken'],
  ['ink', 'ember-paper'],
  ['muted', 'paper'],
  ['muted', 'surface'],
  ['muted', 'sunken'],
  ['ember', 'paper'],
  ['ember', 'surface'],
  ['on-ember', 'ember'],
  ['on-ember', 'ember-strong'],
  ['calm', 'sunken'],
  ['alarm-ink', 'alarm-paper'],
  ['notice-ink', 'notice-paper'],
] as const
/** Outlines that tell where a control is or where the focus is; 3 : 1 (WCAG 1.4.11). */
const outlines = [
  ['muted', 'surface'],
  ['ember', 'paper'],
  ['ember', 'sunken'],
] as const

describe.each(Object.entries(themes))('the %s theme', (_, theme) => {
  it.each(texts)('lets %s be read on %s', (text, ground) => {
    expect(contrast(theme[text]!, theme[ground]!)).toBeGreaterThanOrEqual(4.5)
  })

  it.each(outlines)('shows %s against %s', (outline, ground) => {
    expect(contrast(theme[outline]!, theme[ground]!)).toBeGreaterThanOrEqual(3)
  })
})
