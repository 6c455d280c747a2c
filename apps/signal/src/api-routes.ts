/**
 * `/v1`: the part of OpenAI's API that lets any program of the house ask the room, as far as a person of the room has
 * opened a device's door to programs.
 *
 * No CORS headers: pages of other sites stay outside. A browser asks before it sends a key (Fetch §4.8), and gets no.
 *
 * @module
 */
import { createHash, randomUUID } from 'node:crypto'
import { maxControlBytes, type QuestionId } from '@hearth/engine/protocol'
import { Hono, type Context } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { completion, createChunks, modelObject, type AnswerHead } from './api-answer.ts'
import { badRequest, errorBody, errorOf, notNow, type ApiError } from './api-error.ts'
import { readApiRequest, type ApiRequest } from './api-request.ts'
import { createEventStream, type EventStream } from './event-stream.ts'
import { noDoor } from './questions.ts'
import type { FoundRoom, Rooms } from './rooms.ts'
import type { Sockets } from './sockets.ts'

type Env = { Variables: { found: FoundRoom } }

export function createApiRoutes(rooms: Rooms, sockets: Sockets): Hono<Env> {
  const app = new Hono<Env>()

  app.use(async (c, next) => {
    const key = /^Bearer +(\S+) *$/i.exec(c.req.header('authorization') ?? '')?.[1]
    const found = key === undefined ? null : rooms.find(hashOf(key))
    if (!found)
      return refuse(c, badRequest(key === undefined ? noKey : wrongKey, 'invalid_api_key', null, 401))
    if (!found.hasDoor) return refuse(c, notNow(noDoor))
    c.set('found', found)
    return next()
  })

  app.get('/models', (c) => {
    const { choice, chosenAtMs } = c.var.found
    return c.json({ object: 'list', data: choice ? [modelObject(choice, chosenAtMs)] : [] })
  })
  app.get('/models/:id', (c) => {
    const { choice, chosenAtMs } = c.var.found
    if (choice?.model.name === c.req.param('id')) return c.json(modelObject(choice, chosenAtMs))
    return refuse(c, badRequest('The room does not run this model now.', 'model_not_found', 'model', 404))
  })

  app.post(
    '/chat/completions',
    bodyLimit({ maxSize: maxControlBytes, onError: (c) => refuse(c, tooLong) }),
    async (c) => {
      const { choice, room } = c.var.found
      if (!choice) return refuse(c, notNow('The room runs no model yet. Choose one on its page.'))
      const request = readApiRequest(await c.req.text(), choice.model.name)
      if ('status' in request) return refuse(c, request)
      const head: AnswerHead = {
        question: randomUUID() as QuestionId,
        model: choice.model.name,
        createdAtMs: Date.now(),
      }
      return request.streams ? stream(c, room, head, request) : answer(c, room, head, request)
    },
  )
  app.all('/*', (c) =>
    refuse(
      c,
      badRequest(`Hearth has no ${c.req.method} ${c.req.path}: see its README.`, 'unknown_url', null, 404),
    ),
  )

  /** The whole answer at its end. */
  const answer = (c: Context, room: FoundRoom['room'], head: AnswerHead, { asked }: ApiRequest) =>
    new Promise<Response>((resolve) => {
      let content = ''
      const hangUp = sockets.ask(room, head.question, asked, (piece) => {
        if (piece.type === 'text') content += piece.text
        else if (piece.type === 'done') resolve(c.json(completion(head, content, piece.stats)))
        else resolve(refuse(c, errorOf(piece)))
      })
      c.req.raw.signal.addEventListener('abort', hangUp)
    })

  /** Word by word. What goes wrong before the first is told by the status, and later in the stream. */
  const stream = (
    c: Context,
    room: FoundRoom['room'],
    head: AnswerHead,
    { asked, includesUsage }: ApiRequest,
  ) =>
    new Promise<Response>((resolve) => {
      const chunks = createChunks(head, includesUsage)
      let events: EventStream | null = null
      const send = (data: object) => open().send(JSON.stringify(data))

      function open(): EventStream {
        if (events) return events
        events = createEventStream(() => hangUp())
        events.send(JSON.stringify(chunks.first))
        // nginx would gather the words.
        const headers = { 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' }
        resolve(c.body(events.body, 200, { 'Content-Type': 'text/event-stream', ...headers }))
        return events
      }

      const hangUp = sockets.ask(room, head.question, asked, (piece) => {
        if (piece.type === 'text') {
          if (piece.text === '') open().sendSignOfLife()
          else send(chunks.text(piece.text))
          return
        }
        if (piece.type === 'failed') {
          if (!events) return resolve(refuse(c, errorOf(piece)))
          send(errorBody(errorOf(piece)))
        } else {
          chunks.last(piece.stats).forEach(send)
          open().send('[DONE]')
        }
        events?.end()
      })
      c.req.raw.signal.addEventListener('abort', hangUp)
    })

  return app
}

const refuse = (c: Context, error: ApiError): Response => c.json(errorBody(error), error.status)

const hashOf = (key: string): string => createHash('sha256').update(key).digest('base64url')

const noKey =
  'Send the room’s key as “Authorization: Bearer …”. It stands in the settings of a device of the room.'
const wrongKey =
  'No room that is open here has this key. Copy it from the settings of a device of the room, and keep its page open.'
const tooLong = badRequest(
  `This request has more than ${maxControlBytes} bytes, and no more reach the device that answers. Ask in fewer words.`,
  'context_length_exceeded',
  'messages',
  413,
)
