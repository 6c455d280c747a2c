import { describe, expect, it } from 'vitest'
import { createStopTexts } from './stop-texts.ts'

/** What is said of an answer that comes in these pieces, and whether a stop text ended it. */
function said(stops: string[], pieces: string[]): { text: string; isOver: boolean } {
  const texts = createStopTexts(stops)
  let text = ''
  for (const piece of pieces) {
    if (texts.isOver()) break
    text += texts.push(piece)
  }
  return { text: text + texts.rest(), isOver: texts.isOver() }
}

describe('stop texts', () => {
  const answer = 'one\ntwo\n\nthree\n\nfour'

  it('end an answer before the first of them, however it is cut into pieces', () => {
    for (let a = 0; a <= answer.length; a++) {
      for (let b = a; b <= answer.length; b++) {
        const pieces = [answer.slice(0, a), answer.slice(a, b), answer.slice(b)]
        expect(said(['\n\nfour', '\n\n'], pieces)).toEqual({ text: 'one\ntwo', isOver: true })
        expect(said(['four', 'thirty', 'two\nthree'], pieces)).toEqual({
          text: 'one\ntwo\n\nthree\n\n',
          isOver: true,
        })
      }
    }
  })

  it('that never come change nothing', () => {
    for (const stops of [[], ['five'], ['fourth', '\n\n\n']])
      expect(said(stops, [...answer])).toEqual({ text: answer, isOver: false })
  })

  it('hold back no more than what may be their beginning', () => {
    const texts = createStopTexts(['User:'])
    expect(texts.push('Hello Us')).toBe('Hello ')
    expect(texts.push('ain')).toBe('Usain')
    expect(texts.push(' U')).toBe(' ')
    expect(texts.rest()).toBe('U')
  })
})
