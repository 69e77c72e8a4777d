/* script_pattern.c - what of patterns is C for the sake of the compiler (script_pattern.h).
 *
 * Errors leave by longjmp: nothing here is held but by Lua's stack. Replacing calls back on C's stack, some 10 KB a call;
 * sandbox.lua bounds how deep that gets. */
#include "script_pattern.h"

#include <lauxlib.h>
#include <lua.h>

#include "../abi_c.h"

enum { NONE = -1000 };

/* Raises by the library's function at `refuse`; level: of the function told, seen from here. */
static int refuse_at(lua_State *L, int refuse, int fault, int s, const int32_t *found, int level) {
  lua_pushvalue(L, refuse);
  lua_pushinteger(L, fault);
  lua_pushvalue(L, s);
  lua_pushinteger(L, found[TM_FOUND_STEPS]);
  lua_pushinteger(L, level);
  lua_call(L, 4, 0);
  return 0;
}

static void push_capture(lua_State *L, const char *s, const int32_t *found, int i) {
  const int32_t *c = found + TM_FOUND_CAPTURES + 2 * i;
  if (c[1] < 0) lua_pushinteger(L, c[0]);
  else lua_pushlstring(L, s + c[0] - 1, (size_t)(c[1] - c[0] + 1));
}

static void push_whole(lua_State *L, const char *s, const int32_t *found) {
  lua_pushlstring(L, s + found[TM_FOUND_FIRST] - 1, (size_t)(found[TM_FOUND_LAST] - found[TM_FOUND_FIRST] + 1));
}

/* Pushes n captures, of none the whole: how many. */
static int push_captures(lua_State *L, const char *s, const int32_t *found, int n) {
  luaL_checkstack(L, n + 1, "too many captures");
  if (n == 0) push_whole(L, s, found);
  for (int i = 0; i < n; i++) push_capture(L, s, found, i);
  return n > 0 ? n : 1;
}

/* where the search goes on, so that an empty match is no reason to stay */
static int32_t behind(const int32_t *found) {
  int32_t last = found[TM_FOUND_LAST];
  return last < found[TM_FOUND_FIRST] ? last + 2 : last + 1;
}

static int pattern_make(lua_State *L) {
  lua_call(L, 2, 1);
  return 1;
}

enum { PROGRAM = 1, SUBJECT, BY, MOST, REFUSE };

/* Pushes what stands in for a match: what the table or function at BY has for its captures. */
static void push_value(lua_State *L, const char *s, const int32_t *found, int n) {
  if (lua_istable(L, BY)) {
    if (n == 0) push_whole(L, s, found);
    else push_capture(L, s, found, 0);
    lua_gettable(L, BY);
  } else {
    lua_pushvalue(L, BY);
    lua_call(L, push_captures(L, s, found, n), 1);
  }
  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    push_whole(L, s, found);
  } else if (!lua_isstring(L, -1)) {
    luaL_where(L, 2);
    lua_pushfstring(L, "%sinvalid replacement value (a %s)", lua_tostring(L, -1), luaL_typename(L, -2));
    lua_error(L);
  }
}

static int pattern_replace(lua_State *L) {
  int32_t found[TM_FOUND_SIZE];
  size_t len;
  lua_settop(L, REFUSE);
  const struct tm_pattern *program = lua_topointer(L, PROGRAM);
  const char *s = lua_tolstring(L, SUBJECT, &len);
  int32_t most = tm_ffi_pattern_count(lua_tonumber(L, MOST)), at = 1, copied = 1, times = 0;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  while (times < most && (size_t)at <= len + 1) {
    int n = tm_ffi_pattern_find(program, s, (int32_t)len, at, found);
    if (n == NONE) break;
    /* a table is asked for the first capture, and nobody for those behind that were never closed */
    int usable = n == -TM_PATTERN_UNFINISHED && lua_istable(L, BY) && found[TM_FOUND_CAPTURES + 1] != TM_PATTERN_OPEN;
    if (n < 0 && !usable) return refuse_at(L, REFUSE, n, SUBJECT, found, 2);
    luaL_addlstring(&b, s + copied - 1, (size_t)(found[TM_FOUND_FIRST] - copied));
    push_value(L, s, found, usable ? 1 : n);
    luaL_addvalue(&b);
    times++;
    copied = found[TM_FOUND_LAST] + 1;
    at = behind(found);
    if (program->byte) break;  /* anchored */
  }
  luaL_addlstring(&b, s + copied - 1, len + 1 - (size_t)copied);
  luaL_pushresult(&b);
  lua_pushinteger(L, times);
  return 2;
}

void tm_script_pattern_push(lua_State *L) {
  lua_pushcfunction(L, pattern_make);
  lua_setfield(L, -2, "pattern_make");
  lua_pushcfunction(L, pattern_replace);
  lua_setfield(L, -2, "pattern_replace");
}
