export { type RunningBroker, startBroker } from './broker.ts'
