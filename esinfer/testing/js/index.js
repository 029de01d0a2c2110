// esinfer in the tests of JavaScript. The types, with what they mean, stand in index.d.ts.
export { EsinferError } from './http.js'
export { esinferFixture, useEsinfer } from './hooks.js'
export { Namespace } from './namespace.js'
export { StartError, connectEsinfer, startEsinfer } from './server.js'
