export { type NameServer, startNameServer } from './server.ts'
