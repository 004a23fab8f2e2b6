import { enableCompileCache } from 'node:module'
import { setFlagsFromString } from 'node:v8'

// JavaScript, and before any TypeScript: a module that is in the cache needs no type stripper, and that one weighs 17 MiB
// and 100 ms. The cache lies in the temporary directory or at NODE_COMPILE_CACHE; where it cannot be kept nothing changes.
enableCompileCache()
// One thread collects young garbage: of a turn there is little, and waking helpers for it took a tenth of a busy broker's CPU.
setFlagsFromString('--no-parallel-scavenge')
await import('./main.ts')
