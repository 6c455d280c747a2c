/**
 * What a person typed or picked as a model, as an address that answers range requests.
 *
 * @module
 */
import { EngineError } from '../errors.ts'

/** 'owner/repo/file.gguf', the file possibly in folders: a Hugging Face repository and a path in it. */
const repositoryFile = /^([\w.-]+\/[\w.-]+)\/([^?#]+\.gguf)$/i
/** A file's page on Hugging Face, which people copy from the address bar; its bytes are at 'resolve'. */
const repositoryPage = /^(https:\/\/huggingface\.co\/[\w.-]+\/[\w.-]+)\/blob\//

/**
 * The absolute address of a model.
 *
 * @param source a path on the server ('/models/demo-q8_0.gguf'), 'owner/repo/file.gguf' on Hugging Face, or any URL
 * @param origin of the server, 'https://hearth.local:8787'
 * @throws EngineError 'model-unreachable' when `source` is none of these, or plain http that a page served by https
 *   may not read (mixed content)
 */
export function modelUrl(source: string, origin: string): string {
  const text = source.trim()
  if (text.startsWith('/') && !text.startsWith('//')) return new URL(text, origin).href
  if (/^https?:\/\//i.test(text)) return webUrl(text, origin)
  const match = repositoryFile.exec(text)
  if (match) {
    const [, repository, path] = match
    const file = path!.split('/').map(encodeURIComponent).join('/')
    return `https://huggingface.co/${repository}/resolve/main/${file}`
  }
  throw new EngineError(
    'model-unreachable',
    `"${text}" is not where a model can be. Give a path on this server that begins with "/", a file on Hugging Face as "owner/repository/file.gguf", or an address that begins with "https://".`,
  )
}

function webUrl(text: string, origin: string): string {
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url)
    throw new EngineError('model-unreachable', `"${text}" is not a complete address. Check its spelling.`)
  if (url.protocol === 'http:' && new URL(origin).protocol === 'https:' && !isLoopback(url.hostname)) {
    throw new EngineError(
      'model-unreachable',
      `This page came by https, and browsers then refuse to read ${url.origin}, which is plain http. Give an https address, or put the file into the server's models folder.`,
    )
  }
  return url.href.replace(repositoryPage, '$1/resolve/')
}

/** Browsers treat these as trustworthy, also under https (W3C Secure Contexts §3.1). */
const isLoopback = (hostname: string) =>
  hostname === 'localhost' || hostname.endsWith('.localhost') || /^(127\.|\[::1\]$)/.test(hostname)
