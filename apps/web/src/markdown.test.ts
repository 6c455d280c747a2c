import { JSDOM } from 'jsdom'
import { describe, expect, it } from 'vitest'
import { createMarkdown, type Block } from './markdown.ts'

const { window } = new JSDOM('')
const blocksOf = createMarkdown(window)
const htmlOf = (text: string): string =>
  blocksOf(text, new Map<string, Block>())
    .map((block) => (block.is === 'html' ? block.html : `[code ${block.language}]`))
    .join('\n')

/** Everything that a browser would run, load or submit. */
function dangersIn(html: string): string[] {
  const { document } = new JSDOM(html).window
  return Array.from(document.querySelectorAll('*')).flatMap((element) => [
    ...(/^(script|img|iframe|object|embed|svg|math|form|style|link|base|video|audio)$/i.test(element.tagName)
      ? [element.tagName]
      : []),
    ...Array.from(element.attributes, (attribute) => `${attribute.name}=${attribute.value}`).filter((text) =>
      /^(on|style|src|srcset|action|formaction)|=\s*(javascript|data|vbscript):/i.test(text),
    ),
  ])
}

describe('Markdown of an answer', () => {
  it('reads as its author meant it', () => {
    expect(htmlOf('# Fox\n\nA **quick** fox\n\n- one\n- two')).toContain('<strong>quick</strong>')
    expect(htmlOf('| a | b |\n|---|--:|\n| 1 | 2 |')).toContain('<table>')
    expect(htmlOf('- [x] done')).toContain('☑ done')
    expect(htmlOf('3. three')).toContain('<ol start="3">')
  })

  it('opens links elsewhere, without telling where they came from', () => {
    expect(htmlOf('[site](https://example.org)')).toBe(
      '<p><a href="https://example.org" target="_blank" rel="noopener noreferrer">site</a></p>\n',
    )
  })

  it('leads nowhere inside the page', () => {
    expect(htmlOf('[models](/models/)')).not.toContain('href')
  })

  it('hands code over as text', () => {
    expect(blocksOf('```html title\n<script>alert(1)</script>\n```', new Map())).toEqual([
      { is: 'code', language: 'html', text: '<script>alert(1)</script>' },
    ])
  })

  it.each([
    '<script>alert(1)</script>',
    '<img src=x onerror=alert(1)>',
    'text <img src=x onerror=alert(1)> text',
    '<svg><script>alert(1)</script></svg>',
    '<iframe src="javascript:alert(1)"></iframe>',
    '[click](javascript:alert(1))',
    '[click](JaVaScRiPt:alert(1))',
    '[click](java\nscript:alert(1))',
    '[click](&#106;avascript:alert(1))',
    '[click](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)',
    '[click](vbscript:msgbox(1))',
    '[a](https://example.org "x\\" onmouseover=\\"alert(1)")',
    '<a href="javascript:alert(1)">click</a>',
    '![tracker](https://example.org/pixel.gif)',
    '![x](x" onerror="alert(1))',
    '<form action="https://example.org"><input name=q></form>',
    '<math><mi//xlink:href="data:x,<script>alert(1)</script>">',
    '<style>*{display:none}</style>',
    '[x]: javascript:alert(1)\n\n[click][x]',
    '<https://example.org/"onclick="alert(1)>',
    '<javascript:alert(1)>',
    '> <b onclick=alert(1)>bold</b>',
    '| <img src=x onerror=alert(1)> |\n|---|\n| x |',
  ])('makes %j harmless', (hostile) => {
    expect(dangersIn(htmlOf(hostile))).toEqual([])
  })

  it('shows raw HTML instead of dropping it', () => {
    const { document } = new JSDOM(htmlOf('Write <b>bold</b> like this.')).window
    expect(document.body.textContent?.trim()).toBe('Write <b>bold</b> like this.')
  })

  it('shows an image as its description', () => {
    expect(htmlOf('![a fox](https://example.org/fox.png)')).toBe('<p>a fox</p>\n')
  })

  it('parses a finished block once while the answer grows', () => {
    const known = new Map<string, Block>()
    const [first] = blocksOf('One.\n\nTw', known)
    const [again, second] = blocksOf('One.\n\nTwo.', known)
    expect(again).toBe(first)
    expect(second).toEqual({ is: 'html', html: '<p>Two.</p>\n' })
    expect([...known.keys()].some((raw) => raw.includes('Tw'))).toBe(false)
  })
})
