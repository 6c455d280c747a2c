import { describe, expect, it } from 'vitest'
import { splitAtSpecial } from './special-tokens.ts'

const special = [
  { id: 1, text: '<|end|>', userDefined: false },
  { id: 2, text: '<tool>', userDefined: true },
  { id: 3, text: '<|e', userDefined: false },
]
const split = (...parts: [string, 'trusted' | 'strange'][]) =>
  splitAtSpecial(
    parts.map(([text, origin]) => ({ text, special: origin === 'trusted' })),
    special,
  )

describe('special tokens', () => {
  it('are found in text that is trusted, one after another and at both ends', () => {
    expect(split(['<|end|><|end|>a b<|end|>', 'trusted'])).toEqual([1, 1, 'a b', 1])
  })

  it('stay text in text that is not', () => {
    expect(split(['a<|end|>b', 'strange'])).toEqual(['a<|end|>b'])
  })

  it('are not put together from trusted and strange text', () => {
    expect(split(['a<|', 'trusted'], ['end|>', 'strange'])).toEqual(['a<|end|>'])
    expect(split(['<|end|', 'strange'], ['><|end|>', 'trusted'])).toEqual(['<|end|>', 1])
  })

  it('leave the text around them in one piece, whoever wrote it', () => {
    expect(split(['say ', 'trusted'], ['hello', 'strange'], ['!<|end|>', 'trusted'])).toEqual([
      'say hello!',
      1,
    ])
  })

  it('are found in any text where the model defines them so', () => {
    expect(split(['a<tool>b', 'strange'])).toEqual(['a', 2, 'b'])
  })

  it('are the longest that match', () => {
    expect(split(['<|end|><|e', 'trusted'])).toEqual([1, 3])
  })

  it('give nothing for nothing', () => {
    expect(split(['', 'trusted'])).toEqual([])
  })
})
