import { isOperatingError, messageOf } from './base/errors.ts'
import { nearest } from './base/nearest.ts'
import { UsageError } from './base/usage.ts'

/** Runs until its work is done or it was told to stop. @returns the exit code; none is 0 */
type Run = (args: string[]) => Promise<number | undefined>

/** Each role is loaded only when it is asked for: a broker carries no operator in its memory. */
const roles: Record<string, { describes: string; load: () => Promise<{ run: Run }> }> = {
  namesrv: {
    describes: 'NameServer: tells clients which broker serves which queue',
    load: () => import('./runtime-broker/namesrv/role.ts'),
  },
  broker: {
    describes: 'broker: takes, keeps and delivers messages',
    load: () => import('./runtime-broker/broker/role.ts'),
  },
  operator: {
    describes: 'operator: runs NameServers, brokers and topics on Kubernetes',
    load: () => import('./controllers/role.ts'),
  },
  local: {
    describes: 'local cluster: Kubernetes on this machine, and the demo',
    load: () => import('./local-cluster/role.ts'),
  },
  log: {
    describes: "log: looks into a broker's store, ours or Apache's, and says what is wrong with it",
    load: () => import('./runtime-broker/store/inspect/role.ts'),
  },
  selftest: {
    describes: 'self test: sends messages through a cluster and consumes them again',
    load: () => import('./selftest/role.ts'),
  },
  demo: {
    describes: 'demonstration on any cluster that has the operator; npm run demo brings a cluster along',
    load: () => import('./demo/role.ts'),
  },
}

const usage = `Usage: node src/main.js ROLE [flags]

Roles
${Object.entries(roles)
  .map(([name, { describes }]) => `  ${name.padEnd(10)}${describes}\n`)
  .join('')}
node src/main.js ROLE --help tells the flags of a role.
`

async function main([name, ...args]: string[]): Promise<number> {
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(usage)
    return 0
  }
  if (name === undefined) throw new UsageError('no role named')
  const role = Object.hasOwn(roles, name) ? roles[name] : undefined
  if (role === undefined) {
    const meant = nearest(name, Object.keys(roles))
    throw new UsageError(`unknown role ${name}${meant ? `; did you mean ${meant}?` : ''}`)
  }
  const { run } = await role.load()
  return (await run(args)) ?? 0
}

const args = process.argv.slice(2)
try {
  process.exit(await main(args))
} catch (error) {
  if (error instanceof UsageError) {
    const role = args[0] !== undefined && Object.hasOwn(roles, args[0]) ? ` ${args[0]}` : ''
    process.stderr.write(`${error.message}\n${role ? '' : `\n${usage}`}Try: node src/main.js${role} --help\n`)
    process.exit(2)
  }
  // An expected error needs its words only; anything else is a bug, and its stack says where.
  process.stderr.write(
    `${isOperatingError(error) ? error.message : error instanceof Error ? error.stack : messageOf(error)}\n`,
  )
  process.exit(1)
}
