// Each feature once, with the hooks that jest has too.
import { Client, errors } from '@elastic/elasticsearch'
import { EsinferError, useEsinfer } from 'esinfer-testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'

const esinfer = useEsinfer({ beforeAll, afterAll, beforeEach, afterEach })
let es

beforeEach(async () => {
  es = new Client({ node: esinfer.url, maxRetries: 0 })
  await esinfer.endpoint('mine')
})
afterEach(() => es.close())

const embed = (input) => es.inference.textEmbedding({ inference_id: 'mine', input })

describe('faults', () => {
  test('two failures upstream are tried over', async () => {
    await esinfer.faults.add({ kind: 'overloaded', times: 2 })
    await embed('try again')
    const { attempts } = await esinfer.journal.find({ method: 'POST' })
    expect(attempts.map(({ answer }) => answer.status)).toEqual([429, 429, 200])
  })

  test('added faults leave those that are there as they are', async () => {
    await esinfer.faults.set({ max_concurrent_requests: 9, faults: [{ kind: 'overloaded', times: 2 }] })
    const shown = await esinfer.faults.add({ kind: 'latency', delay: '50ms' })
    expect(shown).toMatchObject({ max_concurrent_requests: 9, name: 'default' })
    expect(await esinfer.faults.list()).toEqual([
      { kind: 'overloaded', times: 2, hits: 0 },
      { kind: 'latency', delay: '50ms', hits: 0 },
    ])
  })

  test('cleared faults do nothing', async () => {
    await esinfer.faults.add({ kind: 'unauthorized' })
    await expect(embed('refused')).rejects.toBeInstanceOf(errors.ResponseError)
    await esinfer.faults.clear()
    await embed('taken')
    const log = await esinfer.faults.log()
    expect(log.at(-1).answer.status).toBe(200)
  })
})

describe('journal', () => {
  test('it has what was asked', async () => {
    await embed(['one', 'two'])
    const entries = await esinfer.journal.list({ path: '/_inference/*', inference_id: 'mine' })
    expect(entries.map(({ request }) => request.method)).toEqual(['PUT', 'POST'])
    const found = await esinfer.journal.assertRequest({ method: 'post', path: '*mine', text: 'two', times: 1 })
    expect(found.request.body).toEqual({ input: ['one', 'two'] })
    await esinfer.journal.assertRequest({ text: 'never asked', times: 0 })
  })

  test('an assertion that fails shows the nearest request', async () => {
    await embed('the lazy dog')
    const body = { input: 'the lazy cat' }
    await expect(esinfer.journal.assertRequest({ method: 'POST', status: 200, body })).rejects.toThrow(
      [
        'none of 2 requests fits {"method":"POST","status":200,"body":{"input":"the lazy cat"}}',
        'nearest is request 2, POST /_inference/text_embedding/mine, answered 200:',
        '  body: {"input":"the lazy cat"} was expected, it is {"input":"the lazy dog"}',
      ].join('\n'),
    )
    await expect(esinfer.journal.assertRequest({ method: 'PUT', times: 2 })).rejects.toThrow(
      '2 requests were expected that fit {"method":"PUT"}, there are 1: 1',
    )
    await esinfer.journal.clear()
    await expect(esinfer.journal.assertRequest({ method: 'PUT' })).rejects.toThrow('there was none at all')
    await expect(esinfer.journal.assertRequest({ verb: 'PUT' })).rejects.toThrow('knows no [verb]')
  })
})

describe('clock', () => {
  test('a delay of half a minute takes no time', async () => {
    await esinfer.faults.add({ kind: 'latency', delay: '20s', times: 1 })
    const before = performance.now()
    await embed('slow')
    expect(performance.now() - before).toBeLessThan(10_000)
    expect((await esinfer.journal.find({ method: 'POST' })).duration).toBeGreaterThanOrEqual(20)
  })

  test('time passes by hand', async () => {
    const { time, mode } = await esinfer.clock.get()
    expect(mode).toBe('auto')
    expect((await esinfer.clock.advance('30s')).time).toBeCloseTo(time + 30, 3)
    expect((await esinfer.clock.advance(500)).time).toBeCloseTo(time + 30.5, 3)
    expect((await esinfer.clock.mode('manual')).mode).toBe('manual')
  })
})

describe('namespaces', () => {
  test('each test has one, without what others did', async () => {
    expect(await esinfer.journal.list()).toHaveLength(1)
    expect((await esinfer.request('GET', '/_inference')).endpoints).toHaveLength(1)
  })

  test('it can be reset', async () => {
    await esinfer.reset()
    expect((await esinfer.request('GET', '/_inference')).endpoints).toEqual([])
  })

  test('what is refused is an error with the words of the server', async () => {
    const error = await esinfer.clock.mode('slow').catch((reason) => reason)
    expect(error).toBeInstanceOf(EsinferError)
    expect(error).toMatchObject({ status: 400, type: 'illegal_argument_exception' })
    expect(error.message).toContain('[mode] is [slow], expected one of [')
    const unknown = { kind: 'tired' }
    await expect(esinfer.faults.add(unknown)).rejects.toThrow(/failed to parse field \[faults\]: .*tired/)
  })
})
