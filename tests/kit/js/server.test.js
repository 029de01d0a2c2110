// How the server starts, is not found, fails and stops.
import { spawnSync } from 'node:child_process'
import { StartError, startEsinfer } from 'esinfer-testing'
import { expect, test } from 'vitest'

const refused = (options) => startEsinfer(options).then(() => undefined, (error) => error)

test('it starts, answers and stops', async () => {
  const server = await startEsinfer({ args: ['--set', 'twin.dimensions=8'] })
  const namespace = server.namespace('mine')
  expect(namespace.url).toBe(`${server.url}/_ns/mine`)
  expect((await namespace.endpoint('e')).service_settings.dimensions).toBe(8)
  await namespace.drop()
  await namespace.drop() // there is none any more: nothing to do
  await server.stop()
  await server.stop()
  await expect(fetch(server.url)).rejects.toThrow('fetch failed')
})

test('a command that is not there is named', async () => {
  const error = await refused({ command: '/nowhere/esinfer' })
  expect(error).toBeInstanceOf(StartError)
  expect(error.message).toContain('esinfer is not found, tried: /nowhere/esinfer')
  const env = { PATH: '/nowhere', ESINFER: '' }
  expect((await refused({ env })).message).toContain('esinfer is not found. Install it')
})

test('a wrong option is told in the words of the server', async () => {
  const error = await refused({ args: ['--set', 'twin.dimension=8'] })
  expect(error).toBeInstanceOf(StartError)
  expect(error.message).toMatch(/ended with status 2:\nesinfer: .*twin\.dimension/)
})

test('a port that is taken is told', async () => {
  const server = await startEsinfer()
  const port = Number(new URL(server.url).port)
  expect((await refused({ port })).message).toContain('the address is already in use')
  await server.stop()
})

test('a start that takes too long is given up', async () => {
  const command = [process.execPath, '-e', 'setInterval(() => {}, 1000)', '--']
  expect((await refused({ command, timeout: 100 })).message).toContain('did not start within 100 ms')
})

test.each([
  ['when all is done', '', 0],
  ['when it throws', 'throw new Error("broken")', 1],
  ['by SIGTERM', 'setInterval(() => {}, 1000); process.kill(process.pid, "SIGTERM")', 'SIGTERM'],
])('the server ends with its process, %s', async (_how, last, outcome) => {
  const script = `import { startEsinfer } from 'esinfer-testing'
    console.log((await startEsinfer()).url)
    ${last}`
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    timeout: 10_000,
  })
  expect(run.signal ?? run.status).toBe(outcome)
  await expect(fetch(run.stdout.trim())).rejects.toThrow('fetch failed')
})
