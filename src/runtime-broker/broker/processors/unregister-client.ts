import { RequestCode } from '../../../remoting/codes.ts'
import { unregisterClientRequest } from '../../../remoting/headers/client-registration.ts'
import { done, processor } from './processor.ts'

/** A client leaves a group; the others of the group are told. */
export const unregisterClient = processor(
  RequestCode.UNREGISTER_CLIENT,
  unregisterClientRequest,
  ({ producerGroup, consumerGroup }, { clients }, { connection }) => {
    if (producerGroup !== undefined) clients.unregisterProducer(producerGroup, connection)
    if (consumerGroup !== undefined) clients.unregisterConsumer(consumerGroup, connection)
    return done
  },
)
