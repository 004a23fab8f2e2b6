import type { Doors } from '../../base/doors.ts'
import { messageOf } from '../../base/errors.ts'
import { RemotingClient } from '../../remoting/client.ts'
import { RequestCode } from '../../remoting/codes.ts'
import { notifyMinBrokerIdChangeRequest } from '../../remoting/headers/notify-min-broker-id-change.ts'
import type { MinBrokerIdChange } from './broker-group.ts'

/** Tells the brokers of a group who has its smallest id now: with acting masters, whether to act. */
export class MinBrokerIdNotice {
  readonly #isWanted: () => boolean
  readonly #doors: Pick<Doors, 'clock' | 'network' | 'log'>
  #client: RemotingClient | undefined // made by the first notice: hardly anybody wants them

  constructor(isWanted: () => boolean, doors: Pick<Doors, 'clock' | 'network' | 'log'>) {
    this.#isWanted = isWanted
    this.#doors = doors
  }

  tell({ brokerAddrs, ...change }: MinBrokerIdChange): void {
    if (!this.#isWanted()) return
    const { log } = this.#doors
    log.info({ ...change, brokerAddrs }, 'another broker of a group has its smallest id')
    const extFields = notifyMinBrokerIdChangeRequest.encode(change)
    this.#client ??= new RemotingClient({}, this.#doors)
    for (const brokerAddr of brokerAddrs) {
      this.#client
        .oneway(brokerAddr, { code: RequestCode.NOTIFY_MIN_BROKER_ID_CHANGE, extFields })
        .catch((error) =>
          log.warn({ brokerAddr, err: messageOf(error) }, 'a broker was not told who has the smallest id'),
        )
    }
  }

  async close(): Promise<void> {
    await this.#client?.close()
  }
}
