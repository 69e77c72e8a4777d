/* lua_table.c - a walk over a Lua value, written as Lua bytes (codec/any.h) and packed (lua_table.h).
 *
 * Nothing here allocates on the Lua heap or raises but for lack of stack, which is asked for. Bounded by depth and by
 * the bytes written, so a table that holds itself ends too. */
#include "lua_table.h"

#include <lauxlib.h>
#include <lua.h>

#include "../base/buf.h"
#include "../codec/any.h"

enum { ARRAY_MT = 1, NULL_VALUE = 2, BYTES_MAX = 64 << 20, BYTES_KEPT = 1 << 20, STACK_A_LEVEL = 4 };

static int32_t put_value(lua_State *L, struct tm_buf *out, int depth);

static int32_t put_tag(struct tm_buf *out, char tag) { return tm_buf_put(out, &tag, 1); }

/* A length in its long form, whose value may be set later. */
static int32_t put_length(struct tm_buf *out, uint32_t n) {
  char bytes[5] = {(char)0xff};
  memcpy(bytes + 1, &n, sizeof n);
  return tm_buf_put(out, bytes, sizeof bytes);
}

static int32_t put_string(lua_State *L, struct tm_buf *out, int at) {
  size_t len;
  const char *s = lua_tolstring(L, at, &len);
  uint32_t n = (uint32_t)len + TM_LUA_STRING;
  char short_head = (char)n;
  if (len > TM_ANY_SIZE_MAX) return -1;
  if ((n < 0xe0 ? tm_buf_put(out, &short_head, 1) : put_length(out, n)) != 0) return -1;
  return tm_buf_put(out, s, (int32_t)len);
}

static int32_t put_number(lua_State *L, struct tm_buf *out, int at) {
  double v = lua_tonumber(L, at);
  char bytes[1 + sizeof v] = {TM_LUA_NUMBER};
  memcpy(bytes + 1, &v, sizeof v);
  return tm_buf_put(out, bytes, sizeof bytes);
}

static int32_t put_scalar(lua_State *L, struct tm_buf *out, int at) {
  switch (lua_type(L, at)) {
    case LUA_TSTRING: return put_string(L, out, at);
    case LUA_TNUMBER: return put_number(L, out, at);
    case LUA_TBOOLEAN: return put_tag(out, lua_toboolean(L, at) ? TM_LUA_TRUE : TM_LUA_FALSE);
    case LUA_TLIGHTUSERDATA: return TM_ANY_VIEW;
    default: return TM_ANY_OTHER;
  }
}

static int32_t put_empty(lua_State *L, struct tm_buf *out) {
  int array = 0;
  if (lua_getmetatable(L, -1)) {
    array = lua_rawequal(L, -1, lua_upvalueindex(ARRAY_MT));
    lua_pop(L, 1);
  }
  return array ? tm_buf_put(out, (const char[]){TM_LUA_META, TM_LUA_META_ARRAY, TM_LUA_EMPTY}, 3) : put_tag(out, TM_LUA_EMPTY);
}

/* The table on top of the stack, which stays there. */
static int32_t put_table(lua_State *L, struct tm_buf *out, int depth) {
  int32_t start = out->len, rc = put_tag(out, TM_LUA_HASH);
  uint32_t pairs = 0;
  if (lua_rawequal(L, -1, lua_upvalueindex(NULL_VALUE))) {
    out->len = start;
    return put_tag(out, TM_LUA_NULL);
  }
  if (depth > TM_ANY_DEPTH_MAX || !lua_checkstack(L, STACK_A_LEVEL)) return TM_ANY_OTHER;
  if (rc == 0) rc = put_length(out, 0);
  lua_pushnil(L);
  while (rc == 0 && lua_next(L, -2)) {
    rc = put_scalar(L, out, -2);
    if (rc == 0) rc = put_value(L, out, depth);
    lua_pop(L, 1);
    pairs++;
  }
  /* the key at which it ended early */
  if (rc != 0) {
    lua_pop(L, 1);
    return rc;
  }
  if (pairs > 0) {
    memcpy(out->data + start + 2, &pairs, sizeof pairs);
    return 0;
  }
  out->len = start;
  return put_empty(L, out);
}

/* The value on top of the stack, which stays there. */
static int32_t put_value(lua_State *L, struct tm_buf *out, int depth) {
  return lua_type(L, -1) == LUA_TTABLE ? put_table(L, out, depth + 1) : put_scalar(L, out, -1);
}

static int pack(lua_State *L) {
  static struct tm_buf bytes;
  if (bytes.cap_max == 0) tm_buf_init(&bytes, BYTES_MAX);
  struct tm_buf *out = lua_touserdata(L, 1);
  bytes.len = 0;
  lua_settop(L, 2);
  int32_t rc = put_value(L, &bytes, 0);
  if (rc == 0) rc = tm_ffi_any_pack(out, bytes.data, bytes.len);
  if (bytes.cap > BYTES_KEPT) {
    tm_buf_fini(&bytes);
    tm_buf_init(&bytes, BYTES_MAX);
  }
  lua_pushinteger(L, rc);
  return 1;
}

void tm_ffi_table_walked(void) {}

int tm_lua_table_packer(lua_State *L) {
  lua_settop(L, 2);
  lua_pushcclosure(L, pack, 2);
  return 1;
}
