/* lua_table.h - Lua tables as bytes for codec/any_pack.c: the one walk over tables that C makes.
 *
 * It is a function of Lua's C API and not of abi.h, because nothing else can walk a table safely in the LuaJIT of Debian 12:
 * a compiled next() may lose half of a pointer, and an error that string.buffer's encode raises in compiled code may wreck the
 * stack. A trace ends at the call and goes on behind it. */
#ifndef TM_ENGINE_LUA_TABLE_H
#define TM_ENGINE_LUA_TABLE_H

struct lua_State;

/* With the metatable of arrays and tm.null as arguments: a function pack(buf, v) that appends v as msgpack to a struct tm_buf (a
 * light userdata) and returns what tm_ffi_any_pack does; TM_ANY_OTHER too for what only Lua code knows how to keep, or to refuse. */
int tm_lua_table_packer(struct lua_State *L);

#endif
