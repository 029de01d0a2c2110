// streamCompletion and chatCompletionUnified: as text, and as a stream of Node's.
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { text } from 'node:stream/consumers'
import * as it from './support.mjs'

const completion = { inference_id: 'completion', input: 'hello there' }
const chat = (more = {}) => ({
  inference_id: 'chat_completion',
  chat_completion_request: { messages: it.messages, ...more },
})
const weather = { type: 'function', function: { name: 'weather', parameters: { type: 'object' } } }

for (const [name, url] of Object.entries(it.servers)) {
  describe(`through ${name}`, () => {
    const client = it.connect(url)
    const { inference } = client
    before(async () => {
      await it.deleteEndpoints(client)
      for (const taskType of it.taskTypes) await it.create(client, taskType)
    })

    test('streamCompletion says what completion says', async () => {
      const { body, headers } = await inference.streamCompletion(completion, { meta: true })
      assert.equal(headers['content-type'], 'text/event-stream')
      assert.equal(headers['x-elastic-product'], 'Elasticsearch')
      const parts = it.values(body).flatMap((value) => value.completion.map(({ delta }) => delta))
      const whole = await inference.completion(completion)
      assert.ok(parts.length > 1)
      assert.equal(parts.join(''), whole.completion[0].result)
    })

    test('chatCompletionUnified gives chunks and the usage', async () => {
      const chunks = it.values(await inference.chatCompletionUnified(chat()))
      const last = chunks.pop()
      assert.ok(chunks.every(({ object }) => object === 'chat.completion.chunk'))
      const said = chunks.map(({ choices }) => choices[0].delta.content ?? '').join('')
      assert.match(said, /hello there/)
      assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop')
      const { completion_tokens, prompt_tokens, total_tokens } = last.usage
      assert.equal(completion_tokens + prompt_tokens, total_tokens)
    })

    test('chatCompletionUnified calls a tool', async () => {
      const request = chat({ tools: [weather], tool_choice: 'required' })
      const chunks = it.values(await inference.chatCompletionUnified(request))
      const calls = chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? [])
      assert.equal(calls[0].function.name, 'weather')
      assert.equal(calls.map((call) => call.function.arguments).join(''), '{}')
    })

    test('asStream gives the same bytes', async () => {
      const stream = await inference.streamCompletion(completion, { asStream: true })
      assert.equal(await text(stream), await inference.streamCompletion(completion))
      const chatStream = await inference.chatCompletionUnified(chat(), { asStream: true })
      assert.equal(it.values(await text(chatStream)).at(-1).usage.prompt_tokens, 2)
    })

    test('asStream can be read event by event', async () => {
      const stream = await inference.streamCompletion(completion, { asStream: true })
      let read = ''
      for await (const chunk of stream) read += chunk
      assert.ok(it.values(read).length > 1)
    })

    test('a stream may be left in the middle', async () => {
      const input = 'text '.repeat(2000)
      const request = { inference_id: 'completion', input }
      const stream = await inference.streamCompletion(request, { asStream: true })
      for await (const chunk of stream) {
        assert.ok(chunk.length > 0)
        break
      }
      assert.equal(await client.ping(), true)
    })

    test('a task that does not stream is a 405 of one event', async () => {
      const path = '/_inference/text_embedding/text_embedding/_stream'
      const body = { input: 'text' }
      const error = await it.responseError(client.transport.request({ method: 'POST', path, body }))
      assert.equal(error.statusCode, 405)
      const [{ name, data }] = it.events(error.body)
      assert.equal(name, 'error')
      assert.match(JSON.parse(data).error.reason, /Streaming is not allowed/)
    })

    test('what the upstream refuses before it streams has its status', async () => {
      const choice = { type: 'function', function: { name: 'nope' } }
      const request = chat({ tools: [weather], tool_choice: choice })
      const error = await it.responseError(inference.chatCompletionUnified(request))
      assert.equal(error.statusCode, 422)
      const [{ name, data }] = it.events(error.body)
      assert.equal(name, 'error')
      assert.match(JSON.parse(data).error.message, /Tool with name nope not found/)
    })

    test('an error in a stream is its last event', async () => {
      // The twin finds a wrong value only when it has begun to stream.
      const request = chat({ top_p: 5 })
      const answer = await inference.chatCompletionUnified(request, { meta: true })
      const [{ name, data }, ...rest] = it.events(answer.body)
      assert.deepEqual([answer.statusCode, name, rest], [200, 'error', []])
      assert.match(JSON.parse(data).error.message, /top_p/)
    })

    const nowhere = { inference_id: 'nope' }

    test('an error before a stream is a ResponseError with one event', async () => {
      const error = await it.responseError(inference.streamCompletion({ ...completion, ...nowhere }))
      assert.equal(error.statusCode, 404)
      const [{ name, data }] = it.events(error.body)
      assert.equal(name, 'error')
      assert.equal(JSON.parse(data).error.reason, 'Inference endpoint not found [nope]')

      const request = { ...chat(), ...nowhere }
      const ofChat = await it.responseError(inference.chatCompletionUnified(request))
      assert.equal(ofChat.statusCode, 404)
      assert.deepEqual(JSON.parse(it.events(ofChat.body)[0].data).error, {
        code: 'not_found',
        message: 'Inference endpoint not found [nope]',
        type: 'resource_not_found_exception',
      })
    })

    test('with asStream an error before a stream is a stream', async () => {
      const options = { asStream: true, meta: true }
      const request = { ...completion, ...nowhere }
      const { statusCode, body } = await inference.streamCompletion(request, options)
      assert.equal(statusCode, 404)
      assert.equal(it.events(await text(body))[0].name, 'error')
    })

    test('a chat completion does nothing but stream', async () => {
      const request = {
        method: 'POST',
        path: '/_inference/chat_completion/chat_completion',
        body: { messages: it.messages },
      }
      const error = await it.responseError(client.transport.request(request))
      assert.equal(error.statusCode, 400)
      assert.deepEqual(error.body.error, {
        code: 'bad_request',
        message:
          'The [chat_completion] task type only supports streaming, ' +
          'please try again with the _stream API',
        type: 'status_exception',
      })
    })
  })
}
