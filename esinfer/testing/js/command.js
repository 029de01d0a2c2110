// Which command starts esinfer: the option, the variable ESINFER, or what PATH has.
import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const suffixes = process.platform === 'win32' ? ['.exe', ''] : ['']

/**
 * The commands to try, the first that is there wins.
 * @param {string | readonly string[] | undefined} given
 * @param {NodeJS.ProcessEnv} env
 * @returns {string[][]}
 */
export function candidates(given, env) {
  const told = given ?? (env.ESINFER || undefined)
  if (told !== undefined) return [typeof told === 'string' ? words(told) : [...told]]
  const modules = ['python3', 'python'].map((name) => [name, '-m', 'esinfer'])
  return [['esinfer'], ...modules].flatMap(([name, ...rest]) => {
    const path = onPath(name, env.PATH ?? '')
    return path === undefined ? [] : [[path, ...rest]]
  })
}

/** A path may have spaces in it; any other text is a command with its first arguments.
 * @param {string} command */
function words(command) {
  return existsSync(command) ? [command] : command.trim().split(/\s+/)
}

/**
 * @param {string} name
 * @param {string} path
 */
function onPath(name, path) {
  const files = path
    .split(delimiter)
    .filter(Boolean)
    .flatMap((directory) => suffixes.map((suffix) => join(directory, name + suffix)))
  return files.find(isExecutable)
}

/** @param {string} file */
function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK)
  } catch {
    return false
  }
  return statSync(file).isFile()
}
