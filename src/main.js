import { enableCompileCache } from 'node:module'

// JavaScript, and before any TypeScript: a module that is in the cache needs no type stripper, and that one weighs 17 MiB
// and 100 ms. The cache lies in the temporary directory or at NODE_COMPILE_CACHE; where it cannot be kept nothing changes.
enableCompileCache()
await import('./main.ts')
