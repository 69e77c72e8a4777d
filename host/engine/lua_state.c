/* lua_state.c - making the Lua state (lua_state.h).
 *
 * LuaJIT's own allocator is kept (it is fast and places memory where the VM wants it) and wrapped with a cap:
 * beyond it an allocation fails, which Lua raises as "not enough memory" in the script that asked. */
#include "lua_state.h"

#include <lauxlib.h>
#include <lua.h>
#include <luajit.h>
#include <lualib.h>
#include <stddef.h>

static struct {
  lua_Alloc alloc;
  void *ud;
  int64_t used;
  int64_t max;
} memory;

static void *capped(void *ud, void *ptr, size_t osize, size_t nsize) {
  int64_t more = (int64_t)nsize - (ptr == NULL ? 0 : (int64_t)osize);
  if (more > 0 && memory.used + more > memory.max) return NULL;
  void *p = memory.alloc(ud, ptr, osize, nsize);
  if (p != NULL || nsize == 0) memory.used += more;
  return p;
}

int64_t tm_lua_state_used(void) { return memory.used; }

struct lua_State *tm_lua_state_new(int64_t memory_max, int jit, struct tm_err *err) {
  lua_State *L = luaL_newstate();
  if (L == NULL) {
    tm_err_set(err, 1, "lua-memory", "no memory for a Lua state");
    return NULL;
  }
  memory.alloc = lua_getallocf(L, &memory.ud);
  memory.used = (int64_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024;
  memory.max = memory_max;
  lua_setallocf(L, capped, memory.ud);
  luaL_openlibs(L);
  if (!jit) {
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
  } else if (luaL_loadstring(L, "jit.opt.start('maxtrace=8000', 'maxmcode=40960', 'maxrecord=8000', 'maxside=400',"
                                "'maxsnap=1000', 'loopunroll=15')") != 0 || lua_pcall(L, 0, 0, 0) != 0) {
    tm_err_set(err, 1, "lua-jit", "%s", lua_tostring(L, -1));
    lua_close(L);
    return NULL;
  }
  return L;
}

void tm_lua_state_free(struct lua_State *L) { lua_close(L); }
