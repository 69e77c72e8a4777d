/* testing.c - moving the engine by hand (testing.h): functions that tidemill.testing calls.
 *
 *   guarded(f, ...)      pcall under the deadline of one event: a script that loads
 *   begin()              nothing is left of the plan before; sources, sinks and pipelines may be added
 *   crash()              nothing is left of the plan but what outlives a process: what was read, positions, the clock; sources, sinks and
 *                        pipelines may be added, the same ones as before
 *   open(loops)          the plan is complete
 *   feed(source, text)   text behind what the source has        finish(source)  it has no more
 *   step(source)         true: something moved, take the rows and call again; source nil: only what is at hand
 *   settle(source, root, by_time)  what is due of its pipelines, as their clocks of the partition root were moved, or
 *                        time has passed: then step
 *   fire()               the next rows of the end of input: then step; false: there are none left
 *   take(sink)           the rows of a sink, as text            advance(ms)     the clock
 *
 * It stands in for worker.c, without its waiting: nothing here needs to survive a death. All but take raise what goes wrong. */
#include "testing.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>

#include "../base/buf.h"
#include "../base/log.h"
#include "flow.h"
#include "script.h"

struct tm_testing {
  struct tm_io io;             /* the system's, but for its clocks; first, as they find the rest from it */
  int64_t now_ms;
  struct tm_shared *shared;
  struct tm_flows flows;
  struct tm_source *current;   /* its batch is at hand */
  int settling;                /* it is a pseudo batch of tm_flow_settle */
  int32_t fire_at;             /* the pipeline whose source gives its last rows */
};

static uint64_t clock_mono_ns(const struct tm_io *io) { return (uint64_t)((const struct tm_testing *)(const void *)io)->now_ms * 1000000U; }

static int64_t clock_real_ms(const struct tm_io *io) { return ((const struct tm_testing *)(const void *)io)->now_ms; }

/* Raises a text as it is: luaL_error would put the library's line in front of it. */
static int refuse(lua_State *L, const char *text) {
  lua_pushstring(L, text);
  return lua_error(L);
}

/* The engine calls into the state's main thread, so nobody may call it from another. */
static struct tm_testing *self_of(lua_State *L) {
  int is_main = lua_pushthread(L);
  lua_pop(L, 1);
  if (!is_main) refuse(L, "a run is driven from the spec itself, not from a coroutine");
  return lua_touserdata(L, lua_upvalueindex(1));
}


static struct tm_source *source_arg(lua_State *L, const struct tm_testing *t, int at) {
  int32_t i = (int32_t)luaL_checkinteger(L, at);
  luaL_argcheck(L, i >= 0 && i < t->flows.sources_n, at, "no such source");
  return t->flows.sources[i];
}

static int testing_guarded(lua_State *L) {
  struct tm_testing *t = self_of(L);
  luaL_checktype(L, 1, LUA_TFUNCTION);
  tm_script_watch_begin(t->flows.script);
  int rc = lua_pcall(L, lua_gettop(L) - 1, 0, 0);
  if (tm_script_watch_end(t->flows.script) && rc != 0) {
    lua_settop(L, 0);
    lua_pushliteral(L, "the script was still loading at the deadline: an endless loop?");
  }
  lua_pushboolean(L, rc == 0);
  lua_insert(L, 1);
  return lua_gettop(L);
}

static int testing_begin(lua_State *L) {
  struct tm_testing *t = self_of(L);
  tm_flow_clear(&t->flows);
  tm_shared_clear(t->shared);
  t->current = NULL;
  t->settling = 0;
  t->fire_at = 0;
  t->now_ms = 0;
  return 0;
}

static int testing_crash(lua_State *L) {
  struct tm_testing *t = self_of(L);
  tm_flow_clear(&t->flows);
  t->current = NULL;
  t->settling = 0;
  return 0;
}

static int testing_open(lua_State *L) {
  struct tm_testing *t = self_of(L);
  struct tm_err err = {0};
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  tm_script_take_loops(t->flows.script);
  /* what a spec sends comes as it comes: of several inputs none is waited for that has brought nothing */
  for (int32_t i = 0; i < t->flows.sources_n; i++) {
    t->flows.sources[i]->live |= t->flows.sources[i]->kind == TM_SOURCE_GENERATE;
    t->flows.sources[i]->quiet_ms = 1;
  }
  if (tm_flow_open(&t->flows, &err) != 0) return refuse(L, err.detail);
  tm_flow_recover(&t->flows);
  return 0;
}

static int testing_feed(lua_State *L) {
  struct tm_testing *t = self_of(L);
  struct tm_source *s = source_arg(L, t, 1);
  size_t len;
  const char *text = luaL_checklstring(L, 2, &len);
  tm_source_make_room(s);
  s->buf.len = s->state->tail;
  if (len > (size_t)(s->buf.cap - s->buf.len)) return refuse(L, "t:send: the text is longer than two of the longest events (16 MiB each)");
  tm_buf_put(&s->buf, text, (int32_t)len);
  s->state->tail = s->buf.len;
  s->state->bytes += (double)len;
  s->state->read_ns = t->io.mono_ns(&t->io);
  return 0;
}

static int testing_finish(lua_State *L) {
  source_arg(L, self_of(L), 1)->state->eof = TM_EOF_REACHED;
  return 0;
}

/* Begins the next batch of a source: 1; 0 there is none; -1 err. */
static int cut(struct tm_testing *t, struct tm_source *s, struct tm_err *err) {
  for (;;) {
    s->whole = 0;  /* what is there goes through, though it be less than a batch */
    enum tm_source_got got = tm_source_next(s);
    if (got == TM_SOURCE_BATCH) {
      t->current = s;
      tm_flow_begin(&t->flows, s);
    }
    tm_undo_done(&t->shared->undo);
    if (got == TM_SOURCE_BATCH) return 1;
    if (got == TM_SOURCE_END || s->kind != TM_SOURCE_EVERY) return 0;
    int64_t n = tm_source_fill(s, err);
    if (n <= 0) return (int)n;
  }
}

static void batch_done(struct tm_testing *t) {
  struct tm_source *s = t->current;
  if (!t->settling) tm_source_batch_done(s);
  if (s->state->firing && tm_flow_fire_done(&t->flows, s)) t->fire_at++;
  if (t->settling) tm_flow_settled(s);
  t->settling = 0;
  t->current = NULL;
}

static int testing_step(lua_State *L) {
  struct tm_testing *t = self_of(L);
  struct tm_err err = {0};
  if (t->current == NULL) {
    int rc = lua_isnoneornil(L, 1) ? 0 : cut(t, source_arg(L, t, 1), &err);
    if (rc < 0) return refuse(L, err.detail);
    if (rc == 0) {
      lua_pushboolean(L, 0);
      return 1;
    }
  }
  int rc = tm_flow_drain(&t->flows, t->current, 0, &err);
  if (rc < 0) return refuse(L, err.detail);
  if (rc > 0) batch_done(t);
  lua_pushboolean(L, 1);
  return 1;
}

static int testing_settle(lua_State *L) {
  struct tm_testing *t = self_of(L);
  t->current = source_arg(L, t, 1);
  t->settling = 1;
  struct tm_source *root = source_arg(L, t, 2);
  tm_flow_settle(&t->flows, t->current, root->index << 16 | tm_source_part(root));
  /* a spec that moves a watermark is an input that is not silent; time that passes says nothing of inputs */
  if (!lua_toboolean(L, 3)) t->current->batch->live = 1;
  return 0;
}

static int testing_fire(lua_State *L) {
  struct tm_testing *t = self_of(L);
  struct tm_flows *f = &t->flows;
  while (t->fire_at < f->pipelines_n && !f->pipelines[t->fire_at]->fires) t->fire_at++;
  lua_pushboolean(L, t->fire_at < f->pipelines_n);
  if (t->fire_at == f->pipelines_n) return 1;
  t->current = f->pipelines[t->fire_at]->source;
  tm_flow_fire(f, t->current, 0);
  return 1;
}

static int testing_take(lua_State *L) {
  struct tm_testing *t = self_of(L);
  int32_t i = (int32_t)luaL_checkinteger(L, 1);
  luaL_argcheck(L, i >= 0 && i < t->flows.outlets_n && t->flows.outlets[i]->sink.kind == TM_SINK_MEMORY, 1, "no such sink");
  struct tm_outlet *o = t->flows.outlets[i];
  lua_pushlstring(L, o->out->buf.data, (size_t)o->out->buf.len);
  tm_flow_out_clear(o->out);
  o->sink.blocked = 0;
  return 1;
}

static int testing_advance(lua_State *L) {
  self_of(L)->now_ms += (int64_t)luaL_checknumber(L, 1);
  return 0;
}

void tm_testing_push(lua_State *L, struct tm_testing *t) {
  static const struct { const char *name; lua_CFunction fn; } functions[] = {
    {"guarded", testing_guarded}, {"begin", testing_begin}, {"crash", testing_crash}, {"open", testing_open}, {"feed", testing_feed},
    {"finish", testing_finish}, {"step", testing_step}, {"settle", testing_settle}, {"fire", testing_fire}, {"take", testing_take},
    {"advance", testing_advance},
  };
  lua_newtable(L);
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    lua_pushlightuserdata(L, t);
    lua_pushcclosure(L, functions[i].fn, 1);
    lua_setfield(L, -2, functions[i].name);
  }
}

/* Runs the function of boot.lua of that name; texts may be NULL. */
static int run_function(const struct tm_options *o, const char *function, struct tm_texts *texts) {
  struct tm_err err = {0};
  struct tm_testing *t = calloc(1, sizeof *t);
  if (t == NULL) {
    tm_log_error("no memory for %s", function);
    return 1;
  }
  int code = -1;
  t->io = tm_io_real;
  t->io.mono_ns = clock_mono_ns;
  t->io.real_ms = clock_real_ms;
  t->shared = tm_shared_new(NULL, &err);
  if (t->shared != NULL) {
    t->shared->relay[0] = t->shared->relay[1] = -1;
    t->shared->flow.max_rows = o->max_rows;
    t->flows.io = &t->io;
    t->flows.shared = t->shared;
    t->flows.texts = texts;
    t->flows.max_event = o->max_event;
    t->flows.max_rows = o->max_rows;
    t->flows.script = tm_script_new(o, t->shared, &t->flows, &err);
    if (t->flows.script != NULL) code = tm_script_test(t->flows.script, function, o, t, &err);
  }
  if (code < 0) {
    tm_log_error("%s", err.detail);
    code = err.exit_code != 0 ? err.exit_code : 1;
  }
  if (t->flows.script != NULL) tm_script_free(t->flows.script);
  tm_flow_clear(&t->flows);
  free(t);
  return code;
}

int tm_testing_main(const struct tm_options *o) { return run_function(o, "test", NULL); }

int tm_testing_of(const struct tm_options *o, struct tm_texts *texts) { return run_function(o, "test", texts); }

int tm_testing_repl(const struct tm_options *o) { return run_function(o, "repl", NULL); }
