import { brokerSetDefinition } from './broker-set.ts'
import { consumerGroupDefinition } from './consumer-group.ts'
import { nameServerDefinition } from './name-server.ts'
import { topicDefinition } from './topic.ts'

export { writeProperties } from '../tunables/properties.ts'
export * from './broker-set.ts'
export * from './consumer-group.ts'
export * from './definition.ts'
export * from './fields.ts'
export * from './group.ts'
export * from './name-server.ts'
export * from './settings.ts'
export * from './topic.ts'

/** Every custom resource of this project. */
export const definitions = [nameServerDefinition, brokerSetDefinition, topicDefinition, consumerGroupDefinition]
