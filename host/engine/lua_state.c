/* lua_state.c - making the Lua state (lua_state.h).
 *
 * LuaJIT's own allocator is kept (it is fast and places memory where the VM wants it) and wrapped with a cap:
 * beyond it an allocation fails, which Lua raises as "not enough memory" in the script that asked. LuaJIT does not collect
 * then, and left alone it collects when twice as much is in use as was after the last collection, be that beyond the cap or
 * not: so it is paced here. What a failed allocation may cost is bounded: a full collection is paid for by what was allocated
 * since the last one.
 *
 * Settings files get a state without any library: not even strings have methods, so there is nothing to forbid. */
#include "lua_state.h"

#include <lauxlib.h>
#include <lua.h>
#include <luajit.h>
#include <lualib.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "../base/buf.h"
#include "embed.h"

enum { SETTINGS_MEMORY = 4 << 20, SETTINGS_STEPS = 1000000, SETTINGS_KEYS_MAX = 1024, REJECTED = 3 };
enum { C_STACK = 64 << 20 };

static struct {
  lua_Alloc alloc;
  void *ud;
  int64_t used;
  int64_t max;
  int64_t fresh;    /* allocated since the last full collection, also what is free again */
  int held;         /* failures after which scripts held most of it all the same */
  int stuck;        /* failures with nothing done in between after which they held half: a table too large to grow */
  int eager;        /* the collector's pace */
} memory;

/* the cap's share that pays for a full collection; those that scripts hold when it is theirs to blame, and how often */
enum { PAYS_SHARE = 8, HELD_EIGHTHS = 7, HELD_MAX = 8, STUCK_EIGHTHS = 4, STUCK_MAX = 1000, RESERVE = 2 << 20 };
enum { PAUSE = 200, STEPS = 200, EAGER_SHARE = 3, EAGER_PAUSE = 120, EAGER_STEPS = 800 };

static void *capped(void *ud, void *ptr, size_t osize, size_t nsize) {
  int64_t more = (int64_t)nsize - (ptr == NULL ? 0 : (int64_t)osize);
  if (more > 0 && memory.used + more > memory.max) return NULL;
  void *p = memory.alloc(ud, ptr, osize, nsize);
  if (p == NULL && nsize != 0) return NULL;
  memory.used += more;
  if (more > 0) memory.fresh += more;
  return p;
}

int64_t tm_lua_state_used(void) { return memory.used; }

void tm_lua_state_pace(struct lua_State *L) {
  int eager = memory.used > memory.max / EAGER_SHARE;
  if (eager == memory.eager) return;
  memory.eager = eager;
  lua_gc(L, LUA_GCSETPAUSE, eager ? EAGER_PAUSE : PAUSE);
  lua_gc(L, LUA_GCSETSTEPMUL, eager ? EAGER_STEPS : STEPS);
  /* the next collection would begin where the old pace put it, perhaps beyond the cap: it begins now, in steps */
  if (eager) lua_gc(L, LUA_GCSTEP, 0);
}

void tm_lua_state_reserve(int open) { memory.max += open ? RESERVE : -RESERVE; }

void tm_lua_state_served(void) { memory.stuck = 0; }

int tm_lua_state_regain(struct lua_State *L) {
  if (memory.fresh >= memory.max / PAYS_SHARE) {
    lua_gc(L, LUA_GCCOLLECT, 0);
    memory.fresh = 0;
  }
  memory.held = memory.used > memory.max / 8 * HELD_EIGHTHS ? memory.held + 1 : 0;
  memory.stuck = memory.used > memory.max / 8 * STUCK_EIGHTHS ? memory.stuck + 1 : 0;
  return memory.held == HELD_MAX || memory.stuck == STUCK_MAX;
}

/* without libraries */
static lua_State *state_capped(int64_t memory_max, struct tm_err *err) {
  lua_State *L = luaL_newstate();
  if (L == NULL) {
    tm_err_set(err, 1, "lua-memory", "no memory for a Lua state");
    return NULL;
  }
  memory.alloc = lua_getallocf(L, &memory.ud);
  memory.used = (int64_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024;
  memory.max = memory_max;
  memory.fresh = memory.held = memory.stuck = memory.eager = 0;
  lua_setallocf(L, capped, memory.ud);
  return L;
}

/* Functions that C calls back (gsub, table.sort, coroutines) nest on C's stack; the library's sandbox bounds them below
 * this. The main thread's stack grows while the program runs, up to the limit of the moment; the hard limit may be less,
 * and then a script that goes there costs the worker. */
static void c_stack_grow(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur >= C_STACK) return;
  limit.rlim_cur = limit.rlim_max < C_STACK ? limit.rlim_max : C_STACK;
  setrlimit(RLIMIT_STACK, &limit);
}

/* With its own allocator again, all of whose memory goes at once. */
void tm_lua_state_free(struct lua_State *L) {
  void *ud;
  if (lua_getallocf(L, &ud) == capped) tm_lua_state_retire(L);
  lua_close(L);
}

void tm_lua_state_retire(struct lua_State *L) { lua_setallocf(L, memory.alloc, memory.ud); }

void tm_lua_state_compile(struct lua_State *L, int on) { luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | (on ? LUAJIT_MODE_ON : LUAJIT_MODE_OFF)); }

struct lua_State *tm_lua_state_new(int64_t memory_max, int jit, struct tm_err *err) {
  c_stack_grow();
  lua_State *L = state_capped(memory_max, err);
  if (L == NULL) return NULL;
  luaL_openlibs(L);
  if (!jit) {
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
  } else if (luaL_loadstring(L, "jit.opt.start('maxtrace=8000', 'maxmcode=40960', 'maxrecord=8000', 'maxside=400',"
                                "'maxsnap=1000', 'maxirconst=4000', 'loopunroll=15')") != 0 || lua_pcall(L, 0, 0, 0) != 0) {
    tm_err_set(err, 1, "lua-jit", "%s", lua_tostring(L, -1));
    tm_lua_state_free(L);
    return NULL;
  }
  return L;
}

/* ---- settings files ---- */

struct settings {
  const char *name;
  const char *text;
  size_t len;
  struct tm_buf *out;
};

static void settings_overlong(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  luaL_where(L, 0);
  lua_pushfstring(L, "%sstill at work after %d instructions: an endless loop?", lua_tostring(L, -1), SETTINGS_STEPS);
  lua_error(L);
}

static int by_bytes(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The string keys of the table at `t`, sorted; texts are anchored by the table. *others: keys of other types. */
static int keys_of(lua_State *L, int t, const char **keys, int *others) {
  int n = 0;
  *others = 0;
  for (lua_pushnil(L); lua_next(L, t) != 0; lua_pop(L, 1)) {
    size_t len;
    if (lua_type(L, -2) != LUA_TSTRING) {
      (*others)++;
      continue;
    }
    const char *key = lua_tolstring(L, -2, &len);
    if (strlen(key) != len) luaL_error(L, "a name with a zero byte in it");
    if (n == SETTINGS_KEYS_MAX) luaL_error(L, "more than %d entries in one table", SETTINGS_KEYS_MAX);
    keys[n++] = key;
  }
  qsort(keys, (size_t)n, sizeof keys[0], by_bytes);
  return n;
}

/* One entry; member may be NULL. */
static void put_entry(lua_State *L, const struct settings *s, const char *key, char where, char what,
                      const char *member, const char *text) {
  char kind[2] = {where, what};
  int bad = tm_buf_put(s->out, key, (int32_t)strlen(key) + 1) | tm_buf_put(s->out, kind, 2);
  if (member != NULL) bad |= tm_buf_put(s->out, member, (int32_t)strlen(member)) | tm_buf_put(s->out, "=", 1);
  bad |= tm_buf_put(s->out, text, (int32_t)strlen(text) + 1);
  if (bad) luaL_error(L, "more text than settings may have");
}

/* The value at the top of the stack, which is no table of settings. */
static void put_value(lua_State *L, const struct settings *s, const char *key, char where, const char *member) {
  char number[64];
  size_t len;
  const char *text;
  switch (lua_type(L, -1)) {
    case LUA_TSTRING:
      text = lua_tolstring(L, -1, &len);
      if (strlen(text) == len) put_entry(L, s, key, where, 's', member, text);
      else put_entry(L, s, key, where, '?', member, "string with a zero byte in it");
      break;
    case LUA_TNUMBER: {
      double v = lua_tonumber(L, -1);
      int whole = v > -1e15 && v < 1e15 && v == (double)(int64_t)v;
      snprintf(number, sizeof number, whole ? "%.0f" : "%.14g", v);
      put_entry(L, s, key, where, 'n', member, number);
      break;
    }
    case LUA_TBOOLEAN: put_entry(L, s, key, where, 'b', member, lua_toboolean(L, -1) ? "true" : "false"); break;
    default: put_entry(L, s, key, where, '?', member, luaL_typename(L, -1));
  }
}

/* The table at the top of the stack: the items of a list, then members. */
static void put_table(lua_State *L, const struct settings *s, const char *key) {
  const char *keys[SETTINGS_KEYS_MAX];
  int t = lua_gettop(L), others, items = (int)lua_objlen(L, t), n = keys_of(L, t, keys, &others);
  for (int i = 1; i <= items; i++) {
    lua_rawgeti(L, t, i);
    put_value(L, s, key, '[', NULL);
    lua_pop(L, 1);
  }
  for (int i = 0; i < n; i++) {
    lua_pushstring(L, keys[i]);
    lua_rawget(L, t);
    put_value(L, s, key, '{', keys[i]);
    lua_pop(L, 1);
  }
  if (others > items) put_entry(L, s, key, '[', '?', NULL, "key that is neither a name nor counts from 1");
  if (others == 0 && n == 0) put_entry(L, s, key, '.', 'e', NULL, "");
}

static int settings_run(lua_State *L) {
  const struct settings *s = lua_touserdata(L, 1);
  const char *keys[SETTINGS_KEYS_MAX];
  int others, n;
  lua_settop(L, 0);
  luaL_checkstack(L, 16, "settings");
  if (s->len > 0 && s->text[0] == LUA_SIGNATURE[0])
    luaL_error(L, "%s:1: precompiled Lua is not accepted; give the source", s->name);
  lua_pushfstring(L, "@%s", s->name);
  if (luaL_loadbufferx(L, s->text, s->len, lua_tostring(L, 1), "t") != 0) lua_error(L);
  lua_newtable(L);
  lua_setfenv(L, -2);
  lua_sethook(L, settings_overlong, LUA_MASKCOUNT, SETTINGS_STEPS);
  lua_call(L, 0, 1);
  lua_sethook(L, NULL, 0, 0);
  if (!lua_istable(L, -1))
    return luaL_error(L, "%s: must return a table of settings, as in: return { deadline = '2s' }; it returns %s",
                      s->name, lua_isnil(L, -1) ? "nothing" : luaL_typename(L, -1));
  n = keys_of(L, 2, keys, &others);
  if (others > 0) return luaL_error(L, "%s: every setting has a name, as in: return { deadline = '2s' }", s->name);
  for (int i = 0; i < n; i++) {
    lua_pushstring(L, keys[i]);
    lua_rawget(L, 2);
    if (lua_istable(L, -1)) put_table(L, s, keys[i]);
    else put_value(L, s, keys[i], '.', NULL);
    lua_pop(L, 1);
  }
  return 0;
}

int tm_lua_settings_eval(const char *name, const char *text, size_t len, struct tm_buf *out, struct tm_err *err) {
  struct settings s = {.name = name, .text = text, .len = len, .out = out};
  lua_State *L = state_capped(SETTINGS_MEMORY, err);
  if (L == NULL) return -1;
  luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
  int rc = lua_cpcall(L, settings_run, &s);
  const char *why = rc == LUA_ERRRUN ? lua_tostring(L, -1) : NULL;
  int placed = why != NULL && strncmp(why, name, strlen(name)) == 0;
  if (rc == LUA_ERRMEM)
    tm_err_set(err, REJECTED, "settings-memory", "%s: takes more than %d MiB of memory", name, SETTINGS_MEMORY >> 20);
  else if (rc != 0)
    tm_err_set(err, REJECTED, "settings", "%s%s%.600s%s", placed ? "" : name, placed ? "" : ": ",
               why != NULL ? why : "failed without a message",
               why != NULL && strstr(why, "attempt to call") != NULL ? "; settings have no functions to call" : "");
  lua_close(L);
  return rc == 0 ? 0 : -1;
}

/* ---- the catalog ---- */

struct reference {
  const char *function;
  const char *name;
  const char *others;
  int json;
  int found;
  struct tm_buf *out;
};

/* package.loaders: the library's own texts, nothing from disk */
static int reference_load(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  for (const struct tm_embed *e = tm_embed_list; e->name != NULL; e++) {
    if (strcmp(e->name, name) != 0) continue;
    lua_pushfstring(L, "=%s", name);
    if (luaL_loadbuffer(L, e->text, e->len, lua_tostring(L, -1)) != 0) lua_error(L);
    return 1;
  }
  return 0;
}

static int reference_run(lua_State *L) {
  struct reference *r = lua_touserdata(L, 1);
  size_t len;
  lua_settop(L, 0);
  luaL_openlibs(L);
  lua_getglobal(L, "package");
  lua_createtable(L, 1, 0);
  lua_pushcfunction(L, reference_load);
  lua_rawseti(L, -2, 1);
  lua_setfield(L, -2, "loaders");
  lua_getglobal(L, "require");
  lua_pushliteral(L, "tidemill.reference");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, r->function);
  if (r->name != NULL) lua_pushstring(L, r->name);
  else lua_pushnil(L);
  lua_pushboolean(L, r->json);
  lua_pushstring(L, r->others);
  lua_call(L, 3, 2);
  r->found = lua_isstring(L, -2);
  const char *text = lua_tolstring(L, r->found ? -2 : -1, &len);
  if (text == NULL || tm_buf_put(r->out, text, (int32_t)len) != 0) return luaL_error(L, "no memory for the text");
  return 0;
}

int tm_lua_reference(const char *function, const char *name, int json, const char *others, struct tm_buf *out, struct tm_err *err) {
  struct reference r = {.function = function, .name = name, .others = others, .json = json, .out = out};
  int32_t before = out->len;
  lua_State *L = luaL_newstate();
  if (L == NULL) return tm_err_set(err, 1, "lua-memory", "no memory for a Lua state");
  int rc = lua_cpcall(L, reference_run, &r), bad = 0;
  if (rc != 0) {
    bad = tm_err_set(err, 1, "library", "the catalog does not load: %s", lua_tostring(L, -1));
  } else if (!r.found) {
    bad = tm_err_set(err, 2, "no-such-name", "%.*s", (int)(out->len - before), out->data + before);
    out->len = before;
  }
  lua_close(L);
  return bad;
}
