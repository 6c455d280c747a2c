/**
 * A text as the model reads it: token ids, as JSON.
 *
 * @module
 */
import { readHeader } from '../../gguf/header.ts'
import { createTokenizer } from '../../model/tokenizer.ts'
import { readArguments, UsageError, type Command } from '../arguments.ts'
import { createFileSource } from '../file-source.ts'

export const tokenize: Command = {
  usage: `  tokenize FILE --text TEXT [--special]
      Token ids as JSON, none added; --special parses special tokens in the text`,

  async execute(args, { out }) {
    const { file, values } = readArguments(args, { text: 'text', special: 'flag' })
    if (values.text === undefined) throw new UsageError('Give --text.')
    const tokenizer = createTokenizer(await readHeader(createFileSource(file)))
    const ids = tokenizer.encode(values.text, { special: values.special ?? false, addBos: false })
    out(`${JSON.stringify(ids)}\n`)
  },
}
