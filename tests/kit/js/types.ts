// Compiled, not run: the declarations agree with how the module is used.
import { type Entry, type Server, startEsinfer, useEsinfer } from 'esinfer-testing'

const server: Server = await startEsinfer({ command: ['esinfer'], args: ['--profile', 'toolkit'] })
const namespace = server.namespace()
await namespace.endpoint('mine', { task_type: 'rerank' })
// @ts-expect-error there is no such task type
await namespace.endpoint('mine', { task_type: 'ranking' })
const entry: Entry | undefined = await namespace.journal.find({ method: 'POST' })
console.log(entry?.attempts.length, (await namespace.clock.advance('30s')).time)
useEsinfer().name satisfies string
await server.stop()
