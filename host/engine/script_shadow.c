/* script_shadow.c - calls into Lua of a candidate beside the worker (shadow.h): which packs there are, comparing, what was found. */
#include "script_own.h"

#include <lauxlib.h>
#include <lua.h>

#include "../base/buf.h"
#include "shadow.h"

static void push_function(struct tm_script *s, const char *name) {
  lua_rawgeti(s->L, LUA_REGISTRYINDEX, s->ref_lib);
  lua_getfield(s->L, -1, "shadow");
  lua_getfield(s->L, -1, name);
  lua_replace(s->L, -3);
  lua_pop(s->L, 1);
}

/* Calls what was pushed with its n arguments: 0 with `results` values at the top, or -1 err. */
static int call(struct tm_script *s, int n, int results, struct tm_err *err) {
  if (lua_pcall(s->L, n, results, 0) == 0) return 0;
  const char *why = lua_tostring(s->L, -1);
  tm_err_set(err, 1, "shadow", "decisions cannot be compared: %s", why != NULL ? why : "an error without a message");
  lua_pop(s->L, 1);
  return -1;
}

static int put(struct tm_script *s, int at, struct tm_buf *out, struct tm_err *err) {
  size_t n;
  const char *text = lua_tolstring(s->L, at, &n);
  if (text == NULL || n > INT32_MAX || tm_buf_put(out, text, (int32_t)n) != 0) return tm_err_set(err, 1, "shadow", "what was found is too long");
  return 0;
}

int tm_script_packs(struct tm_script *s, struct tm_buf *out, struct tm_err *err) {
  push_function(s, "packs");
  if (call(s, 0, 1, err) != 0) return -1;
  int rc = put(s, -1, out, err);
  lua_pop(s->L, 1);
  return rc;
}

int tm_script_compare_begin(struct tm_script *s, const struct tm_buf *packs, struct tm_err *err) {
  push_function(s, "begin_compare");
  lua_pushlstring(s->L, packs->data, (size_t)packs->len);
  return call(s, 1, 0, err);
}

int tm_script_compare(struct tm_script *s, const char *live, int32_t live_n, const char *own, int32_t own_n, const struct tm_batch *b, const char *origin,
                      struct tm_err *err) {
  push_function(s, "compare");
  lua_pushlightuserdata(s->L, (void *)(uintptr_t)live);
  lua_pushinteger(s->L, live_n);
  lua_pushlightuserdata(s->L, (void *)(uintptr_t)own);
  lua_pushinteger(s->L, own_n);
  lua_pushlightuserdata(s->L, (void *)(uintptr_t)b);
  lua_pushstring(s->L, origin);
  return call(s, 6, 0, err);
}

int tm_script_compared(struct tm_script *s, struct tm_buf *text, struct tm_buf *json, struct tm_err *err) {
  push_function(s, "found");
  if (call(s, 0, 2, err) != 0) return -1;
  int rc = put(s, -2, text, err) != 0 || put(s, -1, json, err) != 0 ? -1 : 0;
  lua_pop(s->L, 2);
  return rc;
}
