/**
 * An answer's Markdown as blocks that are safe to show. What a model writes is a stranger's text: raw HTML is shown,
 * not run; nothing is loaded from anywhere; links open elsewhere and only over http, https and mailto.
 *
 * @module
 */
import createDOMPurify, { type WindowLike } from 'dompurify'
import { Marked, type Token, type TokensList } from 'marked'

export type Block =
  | { is: 'html'; html: string }
  | { is: 'code'; /** As named after the fence; '' if not. */ language: string; text: string }

/** What {@link Marked} makes of text alone. No img: an answer must not make the page call anyone. */
const allowedTags =
  'a blockquote br code del em h1 h2 h3 h4 h5 h6 hr li ol p pre strong table tbody td th thead tr ul'.split(
    ' ',
  )
const allowedAttributes = ['href', 'title', 'start', 'align']

/** @param window the page's, or jsdom's in a test */
export function createMarkdown(window: WindowLike) {
  const purifier = createDOMPurify(window)
  purifier.addHook('afterSanitizeAttributes', (element) => {
    if (element.tagName !== 'A') return
    if (!/^(https?|mailto):/i.test(element.getAttribute('href') ?? '')) element.removeAttribute('href')
    element.setAttribute('target', '_blank')
    element.setAttribute('rel', 'noopener noreferrer')
  })

  const marked = new Marked({
    gfm: true,
    breaks: true,
    renderer: {
      html: ({ text }) => escapeHtml(text),
      // An image becomes its description.
      image: ({ text }) => escapeHtml(text),
      checkbox: ({ checked }) => (checked ? '☑ ' : '☐ '),
    },
  })

  const sanitise = (html: string): string =>
    purifier.sanitize(html, { ALLOWED_TAGS: allowedTags, ALLOWED_ATTR: allowedAttributes })

  /**
   * Top-level blocks in order. A streaming answer changes only its last ones, so a caller that keeps `known` between
   * calls parses and sanitises each finished block once.
   */
  return function blocksOf(text: string, known: Map<string, Block>): Block[] {
    const tokens = marked.lexer(text)
    const blocks: Block[] = []
    for (const token of tokens) {
      if (token.type === 'space' || token.type === 'def') continue
      const block = known.get(token.raw) ?? blockOf(token, tokens)
      // The last block may still grow; keeping each of its stages would keep the answer many times over.
      if (token !== tokens.at(-1)) known.set(token.raw, block)
      blocks.push(block)
    }
    return blocks
  }

  function blockOf(token: Token, { links }: TokensList): Block {
    if (token.type === 'code')
      return {
        is: 'code',
        language: String(token['lang'] ?? '').split(/\s/)[0] ?? '',
        text: String(token['text']),
      }
    return { is: 'html', html: sanitise(marked.parser(Object.assign([token], { links }))) }
  }
}

const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
