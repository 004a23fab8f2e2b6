/** The process in which NameServers and brokers run, each on an address of its own. Forked by pods.ts. */
import { createLog, nodeDoors } from '../../src/base/node/index.ts'
import { startBroker } from '../../src/runtime-broker/broker/broker.ts'
import { startNameServer } from '../../src/runtime-broker/namesrv/server.ts'
import { brokerProgram, namesrvProgram, parseCommandLine, readSettings, thisMachine } from '../../src/tunables/index.ts'

/** Start one, as its pod would: with the arguments of its container. */
export interface StartOrder {
  uid: string
  role: 'broker' | 'namesrv'
  args: string[]
}

const doors = nodeDoors(createLog('warn', { component: 'pod-host' }))
const machine = thisMachine(doors.network, doors.log)

async function start({ role, args }: StartOrder): Promise<void> {
  if (role === 'broker') {
    await startBroker(readSettings(brokerProgram, parseCommandLine(brokerProgram, args), doors.files, machine), doors)
  } else {
    const line = parseCommandLine(namesrvProgram, args)
    await startNameServer(readSettings(namesrvProgram, line, doors.files, machine), doors)
  }
}

process.on('message', (order: StartOrder) => {
  start(order).then(
    () => process.send!({ uid: order.uid }),
    (error: Error) => process.send!({ uid: order.uid, error: error.stack }),
  )
})
process.on('disconnect', () => process.exit())
