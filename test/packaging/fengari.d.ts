/** What is used of fengari 0.1.5, Lua 5.3 in JavaScript: the C API of Lua, with byte strings made by to_luastring. */
declare module 'fengari' {
  type State = { readonly state: unique symbol }
  export function to_luastring(text: string): Uint8Array
  export function to_jsstring(bytes: Uint8Array): string
  export const lua: {
    lua_tostring(state: State, index: number): Uint8Array | null
    lua_setglobal(state: State, name: Uint8Array): void
    lua_close(state: State): void
  }
  export const lauxlib: {
    luaL_newstate(): State
    luaL_dostring(state: State, code: Uint8Array): number
    /** Pushes what open made; it is a global, too, unless isGlobal is 0. */
    luaL_requiref(state: State, name: Uint8Array, open: Library, isGlobal: 0 | 1): void
  }
  type Library = { readonly library: unique symbol }
  export const lualib: Record<
    'luaopen_base' | 'luaopen_package' | 'luaopen_table' | 'luaopen_os' | 'luaopen_string',
    Library
  >
}
