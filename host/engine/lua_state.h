/* lua_state.h - the worker's Lua state: LuaJIT with a memory cap. */
#ifndef TM_ENGINE_LUA_STATE_H
#define TM_ENGINE_LUA_STATE_H

#include <stdint.h>

#include "../base/err.h"

struct lua_State;

/* A state whose allocations never exceed memory_max bytes; NULL and err without memory. jit: 0 interprets only. */
struct lua_State *tm_lua_state_new(int64_t memory_max, int jit, struct tm_err *err);
void tm_lua_state_free(struct lua_State *L);
/* Bytes in use. */
int64_t tm_lua_state_used(void);

#endif
