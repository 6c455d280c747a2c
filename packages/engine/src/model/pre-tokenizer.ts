/**
 * Splits a text into the words that byte-pair encoding never joins, by the patterns of each family of vocabularies.
 *
 * Source: the patterns of llama.cpp's `llm_tokenizer_bpe`, by `tokenizer.ggml.pre`. `\s` is written as Unicode's
 * White_Space, since JavaScript's `\s` has U+FEFF and lacks U+0085.
 *
 * @module
 */
import { broken } from './vocabulary.ts'

export type PreTokenizer = {
  split(text: string): string[]
  /** A word that is a token is taken whole, whatever the merges say. */
  ignoreMerges: boolean
  /** Texts begin with BOS unless the file says otherwise. */
  addBos: boolean
}

const space = '\\p{White_Space}'
const notSpace = '\\P{White_Space}'
const anyCaseEndings = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
const lineBreaksAndSpace = `${space}*[\\r\\n]+|${space}+(?!${notSpace})|${space}+`

/** Words with the character before them, numbers of some digits, signs with the line breaks after them. */
const modern = (digits: string) =>
  `${anyCaseEndings}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}${digits}` +
  `| ?[^${space}\\p{L}\\p{N}]+[\\r\\n]*|${lineBreaksAndSpace}`
const gpt2 = `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${space}\\p{L}\\p{N}]+|${space}+(?!${notSpace})`
const notLower = '(?:(?=\\p{L})[^a-z])'
const notUpper = '(?:(?=\\p{L})[^A-Z])'
const tekken =
  `[^\\r\\n\\p{L}\\p{N}]?${notLower}*${notUpper}+|[^\\r\\n\\p{L}\\p{N}]?${notLower}+${notUpper}*|\\p{N}` +
  `| ?[^${space}\\p{L}\\p{N}]+[\\r\\n/]*|${lineBreaksAndSpace}`
const hanAndHangul = '[一-龥ࠀ-一가-\\ud7ff]+'
/** Letters with case, as DeepSeek lists them. */
const casedLetters =
  'A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚ' +
  // by number, since normalization would change some of these
  '\\u1e00-\\u1f15\\u1f18-\\u1f1d\\u1f20-\\u1f45\\u1f48-\\u1f4d\\u1f50-\\u1f57\\u1f59\\u1f5b\\u1f5d\\u1f5f-\\u1f7d' +
  '\\u1f80-\\u1fb4\\u1fb6-\\u1fbc\\u1fbe\\u1fc2-\\u1fc4\\u1fc6-\\u1fcc\\u1fd0-\\u1fd3\\u1fd6-\\u1fdb\\u1fe0-\\u1fec' +
  '\\u1ff2-\\u1ff4\\u1ff6-\\u1ffcℂℇℊ-ℓℕℙ-ℝℤ\\u2126ℨ\\u212a-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄ' +
  'Ⰰ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃'

type Family = {
  names: readonly string[]
  /** Applied one after another: each splits what those before it left, both what it matches and what lies between. */
  patterns: readonly string[]
  ignoreMerges?: true
  addBos?: true
}

const families: readonly Family[] = [
  {
    names: ['llama3', 'llama-v3', 'llama-bpe', 'falcon3', 'pixtral', 'lfm2'],
    patterns: [modern('{1,3}')],
    ignoreMerges: true,
    addBos: true,
  },
  { names: ['dbrx', 'smaug-bpe'], patterns: [modern('{1,3}')] },
  { names: ['qwen2', 'deepseek-r1-qwen', 'megrez', 'stablelm2'], patterns: [modern('')] },
  { names: ['tekken'], patterns: [tekken], ignoreMerges: true, addBos: true },
  { names: ['gpt-2', 'phi-2', 'mpt', 'olmo', 'jais'], patterns: [gpt2] },
  {
    names: ['smollm', 'starcoder', 'refact', 'command-r', 'codeshell', 'exaone', 'minerva-7b'],
    patterns: ['\\p{N}', gpt2],
  },
  {
    names: ['deepseek-llm'],
    patterns: [
      '[\\r\\n]',
      `${space}?[${casedLetters}]+`,
      `${space}?[!-\\/:-~！-／：-～‘-‟\\u3000-。]+`,
      // the lookbehind changes no match: it spares a long run of spaces a try at each of them
      `(?<!${space})${space}+$`,
      hanAndHangul,
      '\\p{N}+',
    ],
  },
  {
    names: ['deepseek-coder'],
    patterns: ['[\\r\\n]', `${space}?\\p{L}+`, `${space}?\\p{P}+`, hanAndHangul, '\\p{N}'],
  },
  { names: ['default'], patterns: ['[\\p{P}$+<=>^~|]+', gpt2, '\\p{N}+', '[0-9][0-9][0-9]'] },
]

/** @param name `tokenizer.ggml.pre` @throws EngineError 'unsupported-model' for a name that is not known here */
export function createPreTokenizer(name: string): PreTokenizer {
  const family = families.find(({ names }) => names.includes(name))
  if (!family) {
    const known = families.flatMap(({ names }) => names).join(', ')
    throw broken(`its pre-tokenizer is ${JSON.stringify(name.slice(0, 40))}; Hearth knows ${known}`)
  }
  const patterns = family.patterns.map((pattern) => new RegExp(pattern, 'gu'))
  return {
    split: (text) =>
      patterns.reduce((pieces, pattern) => pieces.flatMap((piece) => cut(piece, pattern)), [text]),
    ignoreMerges: family.ignoreMerges ?? false,
    addBos: family.addBos ?? false,
  }
}

/** What matches and what lies between, in order. */
function cut(text: string, pattern: RegExp): string[] {
  const pieces: string[] = []
  let end = 0
  for (const match of text.matchAll(pattern)) {
    if (match.index > end) pieces.push(text.slice(end, match.index))
    pieces.push(match[0])
    end = match.index + match[0].length
  }
  if (end < text.length) pieces.push(text.slice(end))
  return pieces
}
