/* script.c - calls into Lua (script.h); script_host.c has those that come back.
 *
 * The library is one table of functions kept in the registry; loops are kept by pipeline. What was raised script_error.c tells. */
#include "script_own.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/buf.h"
#include "../base/log.h"
#include "../base/version.h"
#include "../state/arena.h"
#include "embed.h"
#include "epochs.h"
#include "guard.h"
#include "lua_state.h"
#include "script_host.h"
#include "script_pattern.h"
#include "testing.h"

/* ---- calls into the library ---- */

static void marker_set(struct tm_script *s, int32_t pipeline, int32_t row) {
  struct tm_marker *m = &s->shared->flow.marker;
  m->pipeline = pipeline;
  m->row = row;
  m->step = 0;
  m->sub = 0;
  tm_undo_fence();
  m->serial = ++s->serial;
}

static void marker_clear(struct tm_script *s) {
  tm_undo_fence();
  s->shared->flow.marker.serial = 0;
  tm_guard_disarm();
}

/* the library's function `name` onto the stack */
static void push_function(struct tm_script *s, const char *name) {
  lua_rawgeti(s->L, LUA_REGISTRYINDEX, s->ref_lib);
  lua_getfield(s->L, -1, name);
  lua_remove(s->L, -2);
}

/* A failed call of the library itself, outside user code: a programming error or no memory. */
static void library_failed(struct tm_script *s, const char *what) {
  const char *text = lua_tostring(s->L, -1);
  tm_log_error("%s: %s", what, text != NULL ? text : "error without a message");
  lua_pop(s->L, 1);
}

static void push_list(lua_State *L, const char *const *list, int n) {
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    lua_pushstring(L, list[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

static int boot(struct tm_script *s, struct tm_err *err) {
  lua_State *L = s->L;
  const struct tm_embed *lib = NULL, *abi = NULL;
  for (const struct tm_embed *e = tm_embed_list; e->name != NULL; e++) {
    if (strcmp(e->name, "tidemill.boot") == 0) lib = e;
    if (strcmp(e->name, "abi.h") == 0) abi = e;
  }
  TM_ASSERT(lib != NULL && abi != NULL);
  if (luaL_loadbuffer(L, lib->text, lib->len, "=tidemill.boot") != 0) goto failed;
  tm_script_host_push(L, &s->host);
  tm_script_pattern_push(L);
  lua_pushlstring(L, abi->text, abi->len);
  lua_setfield(L, -2, "abi");
  lua_pushlightuserdata(L, &s->shared->flow);
  lua_setfield(L, -2, "flow");
  lua_pushlightuserdata(L, s->traces);
  lua_setfield(L, -2, "traces");
  lua_pushnumber(L, (lua_Number)s->script_memory);
  lua_setfield(L, -2, "script_memory");
  lua_pushliteral(L, TM_VERSION);
  lua_setfield(L, -2, "version");
  lua_newtable(L);
  static const struct { const char *name; size_t size; } sizes[] = {
    {"struct tm_cell", sizeof(struct tm_cell)}, {"struct tm_buf", sizeof(struct tm_buf)},
    {"struct tm_batch", sizeof(struct tm_batch)}, {"struct tm_out", sizeof(struct tm_out)},
    {"struct tm_marker", sizeof(struct tm_marker)}, {"struct tm_view", sizeof(struct tm_view)},
    {"struct tm_flow", sizeof(struct tm_flow)}, {"struct tm_value", sizeof(struct tm_value)},
    {"struct tm_changes", sizeof(struct tm_changes)}, {"struct tm_state", sizeof(struct tm_state)},
    {"struct tm_state_field", sizeof(struct tm_state_field)}, {"struct tm_state_options", sizeof(struct tm_state_options)},
    {"struct tm_key", sizeof(struct tm_key)}, {"struct tm_key_columns", sizeof(struct tm_key_columns)},
    {"struct tm_pattern", sizeof(struct tm_pattern)},
    {"struct tm_state_cursor", sizeof(struct tm_state_cursor)}, {"struct tm_tape", sizeof(struct tm_tape)},
    {"struct tm_ranked", sizeof(struct tm_ranked)}, {"struct tm_marks", sizeof(struct tm_marks)}, {"struct tm_slide", sizeof(struct tm_slide)},
    {"struct tm_slide_part", sizeof(struct tm_slide_part)}, {"struct tm_rules", sizeof(struct tm_rules)},
    {"struct tm_rule_stat", sizeof(struct tm_rule_stat)},
    {"struct tm_decided", sizeof(struct tm_decided)}, {"struct tm_features", sizeof(struct tm_features)}, {"struct tm_feature_show", sizeof(struct tm_feature_show)},
  };
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    lua_pushinteger(L, (lua_Integer)sizes[i].size);
    lua_setfield(L, -2, sizes[i].name);
  }
  lua_setfield(L, -2, "sizes");
  if (lua_pcall(L, 1, 1, 0) != 0) goto failed;
  s->ref_lib = luaL_ref(L, LUA_REGISTRYINDEX);
  push_function(s, "fail");
  s->ref_fail = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_newtable(L);
  s->ref_told = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushlightuserdata(L, s);
  lua_pushcclosure(L, tm_script_message_handler, 1);
  s->ref_handler = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
failed:
  return tm_err_set(err, 1, "library", "the library does not load: %s", lua_tostring(L, -1));
}

/* The log of changes: put back or new where the run is kept. 0, or -1 err. */
static int changes_new(struct tm_flows *flows, double memory, double seed, struct tm_err *err) {
  flows->budget = calloc(1, sizeof *flows->budget);
  if (flows->budget == NULL) return tm_err_set(err, 1, "memory", "no memory for the worker");
  flows->budget->limit = memory;
  if (flows->epochs != NULL) {
    flows->changes = tm_epochs_changes(flows->epochs, flows->budget, seed, err);
    return flows->changes != NULL ? 0 : -1;
  }
  flows->changes = (tm_arena_check_wanted() ? tm_arena_check_begin : tm_ffi_changes_new)(flows->budget, seed);
  return flows->changes != NULL ? 0 : tm_err_set(err, 1, "memory", "no memory for the worker");
}

struct tm_script *tm_script_new(const struct tm_options *o, struct tm_shared *shared, struct tm_flows *flows, struct tm_err *err) {
  struct tm_script *s = calloc(1, sizeof *s);
  if (s == NULL) {
    tm_err_set(err, 1, "memory", "no memory for the worker");
    return NULL;
  }
  s->flows = flows;
  s->shared = shared;
  s->host = (struct tm_script_host){.flows = flows, .shared = shared};
  for (int i = 0; i < TM_PIPELINES_MAX; i++) s->ref_loops[i] = LUA_NOREF;
  uint32_t seed = 0;
  flows->io->random(flows->io, &seed, sizeof seed);
  s->checked = flows->epochs == NULL && tm_arena_check_wanted();
  if (flows->changes == NULL && changes_new(flows, (double)o->memory, seed, err) != 0) {
    tm_script_free(s);
    return NULL;
  }
  s->host.changes = flows->changes;
  s->serial = shared->flow.marker.serial;
  shared->flow.marker.serial = 0;
  s->script_memory = o->script_memory;
s->L = tm_lua_state_new(o->script_memory, !o->jit_off, err);
  s->guarded = !tm_guard_unwanted();
  if (!s->guarded) tm_log_warning("scripts run without a deadline (TIDEMILL_UNGUARDED)");
  if (s->L != NULL && flows->replanned) tm_lua_state_compile(s->L, 0);  /* until it has loaded: what is done once is not worth a trace */
  if (s->L == NULL || (s->guarded && tm_guard_start(s->L, &shared->flow.marker, o->deadline_ms, err) != 0)) {
    tm_script_free(s);
    return NULL;
  }
  /* a process that takes another one's place runs the same LuaJIT on the same machine */
  if ((s->guarded && !flows->replanned && tm_guard_self_test(s->L, err) != 0) || boot(s, err) != 0) {
    tm_script_free(s);
    return NULL;
  }
  return s;
}

void tm_script_begin(struct tm_script *s, const struct tm_options *o) { tm_lua_state_compile(s->L, !o->jit_off); }

void tm_script_retire(struct tm_script *s) {
  if (s->guarded) tm_guard_stop();
  s->guarded = 0;
  tm_lua_state_retire(s->L);
}

void tm_script_free(struct tm_script *s) {
  if (s == NULL) return;
  if (s->guarded) tm_guard_stop();
  if (s->L != NULL) tm_lua_state_free(s->L);
  free(s);
}

int tm_script_load(struct tm_script *s, const struct tm_options *o, int checked, struct tm_err *err) {
  lua_State *L = s->L;
  int top = lua_gettop(L);
  tm_script_push_handler(s);
  push_function(s, "load");
  lua_newtable(L);
  push_list(L, o->scripts, o->scripts_n);
  lua_setfield(L, -2, "scripts");
  push_list(L, o->instead, o->instead_n);
  lua_setfield(L, -2, "instead");
  lua_pushboolean(L, o->shadow);
  lua_setfield(L, -2, "shadow");
  lua_pushstring(L, o->amount);
  lua_setfield(L, -2, "amount");
  push_list(L, o->from, o->from_n);
  lua_setfield(L, -2, "from");
  push_list(L, o->set, o->set_n);
  lua_setfield(L, -2, "set");
  lua_pushstring(L, o->code);
  lua_setfield(L, -2, "code");
  lua_pushboolean(L, o->follow);
  lua_setfield(L, -2, "follow");
  lua_pushstring(L, o->rate);
  lua_setfield(L, -2, "rate");
  lua_pushstring(L, o->to);
  lua_setfield(L, -2, "to");
  lua_pushstring(L, o->format);
  lua_setfield(L, -2, "format");
  lua_pushstring(L, o->out_format);
  lua_setfield(L, -2, "out_format");
  lua_pushstring(L, o->delimiter);
  lua_setfield(L, -2, "delimiter");
  lua_pushstring(L, o->columns);
  lua_setfield(L, -2, "columns");
  lua_pushstring(L, o->data);
  lua_setfield(L, -2, "data");
  lua_pushstring(L, o->logs);
  lua_setfield(L, -2, "logs");
  lua_pushstring(L, o->replay);
  lua_setfield(L, -2, "replay");
  lua_pushstring(L, o->replay_from);
  lua_setfield(L, -2, "replay_from");
  lua_pushstring(L, o->replay_to);
  lua_setfield(L, -2, "replay_to");
  lua_pushstring(L, o->speed);
  lua_setfield(L, -2, "speed");
  lua_pushstring(L, o->compare);
  lua_setfield(L, -2, "compare");
  lua_pushstring(L, o->out);
  lua_setfield(L, -2, "out");
  lua_pushstring(L, o->time_key);
  lua_setfield(L, -2, "time_key");
  lua_pushstring(L, o->tag_key);
  lua_setfield(L, -2, "tag_key");
  lua_pushstring(L, o->out_delimiter);
  lua_setfield(L, -2, "out_delimiter");
  lua_pushstring(L, o->out_columns);
  lua_setfield(L, -2, "out_columns");
  lua_pushboolean(L, checked);
  lua_setfield(L, -2, "checked");
  lua_pushstring(L, o->sample);
  lua_setfield(L, -2, "sample");
  lua_pushstring(L, o->drawing);
  lua_setfield(L, -2, "drawing");
  lua_pushstring(L, o->state);
  lua_setfield(L, -2, "state");
  push_list(L, o->labels, o->labels_n);
  lua_setfield(L, -2, "labels");
  lua_pushstring(L, o->unlabelled);
  lua_setfield(L, -2, "unlabelled");
  lua_pushstring(L, o->label_event);
  lua_setfield(L, -2, "label_event");
  lua_pushnumber(L, (lua_Number)o->label_delay_ms);
  lua_setfield(L, -2, "label_delay");
  lua_pushstring(L, o->event_id);
  lua_setfield(L, -2, "event_id");
  lua_pushstring(L, o->decisions);
  lua_setfield(L, -2, "decisions");
  push_list(L, o->ids, o->ids_n);
  lua_setfield(L, -2, "ids");
  lua_pushstring(L, o->ids_file);
  lua_setfield(L, -2, "ids_file");
  lua_pushstring(L, o->state_name);
  lua_setfield(L, -2, "state_name");
  lua_pushstring(L, o->state_key);
  lua_setfield(L, -2, "state_key");
  lua_pushboolean(L, o->quiet);
  lua_setfield(L, -2, "quiet");
  lua_pushinteger(L, o->limit);
  lua_setfield(L, -2, "limit");
  lua_pushboolean(L, o->json);
  lua_setfield(L, -2, "json");
  marker_set(s, -1, 0);
  int rc = lua_pcall(L, 1, 1, top + 1);
  if (rc != 0) {
    tm_script_error_fill(s, rc);
    marker_clear(s);
    tm_script_error_of_load(s, err);
    lua_settop(L, top);
    return -1;
  }
  marker_clear(s);
  tm_script_take_loops(s);
  lua_settop(L, top);
  return 0;
}

void tm_script_take_loops(struct tm_script *s) {
  lua_State *L = s->L;
  for (int32_t i = 0; i < TM_PIPELINES_MAX; i++) {
    luaL_unref(L, LUA_REGISTRYINDEX, s->ref_loops[i]);
    s->ref_loops[i] = LUA_NOREF;
  }
  for (int32_t i = 0; i < s->flows->pipelines_n; i++) {
    lua_rawgeti(L, -1, i + 1);
    s->ref_loops[i] = luaL_ref(L, LUA_REGISTRYINDEX);
  }
}

void tm_script_watch_begin(struct tm_script *s) { marker_set(s, -1, 0); }

int tm_script_watch_end(struct tm_script *s) {
  int overdue = tm_guard_disarm();
  marker_clear(s);
  return overdue;
}

int tm_script_test(struct tm_script *s, const char *function, const struct tm_options *o, struct tm_testing *t, struct tm_err *err) {
  lua_State *L = s->L;
  int top = lua_gettop(L);
  tm_script_push_handler(s);
  push_function(s, function);
  lua_newtable(L);
  push_list(L, o->scripts, o->scripts_n);
  lua_setfield(L, -2, "paths");
  lua_pushboolean(L, o->json);
  lua_setfield(L, -2, "json");
  lua_pushboolean(L, isatty(STDIN_FILENO));
  lua_setfield(L, -2, "terminal");
  tm_testing_push(L, t);
  int rc = lua_pcall(L, 2, 1, top + 1);
  if (rc != 0) {
    tm_script_error_fill(s, rc);
    tm_script_error_of_load(s, err);
    lua_settop(L, top);
    return -1;
  }
  int code = (int)lua_tointeger(L, -1);
  lua_settop(L, top);
  return code;
}

/* Says each text of the list at that place of the stack; their number. */
static int say_list(lua_State *L, int list, void (*say)(const char *fmt, ...)) {
  int n = (int)lua_objlen(L, list);
  for (int i = 1; i <= n; i++) {
    lua_rawgeti(L, list, i);
    say("%s", lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  return n;
}

int tm_script_lint(struct tm_script *s, int *warnings, struct tm_err *err) {
  lua_State *L = s->L;
  int top = lua_gettop(L);
  tm_script_push_handler(s);
  push_function(s, "lint");
  int rc = lua_pcall(L, 0, 2, top + 1);
  if (rc != 0) {
    tm_script_error_fill(s, rc);
    tm_script_error_of_load(s, err);
    lua_settop(L, top);
    return -1;
  }
  int n = say_list(L, top + 2, tm_log_error);
  *warnings = say_list(L, top + 3, tm_log_warning);
  lua_settop(L, top);
  return n;
}

void tm_script_show_learned(struct tm_script *s) {
  lua_State *L = s->L;
  push_function(s, "learned");
  if (lua_pcall(L, 0, 1, 0) != 0) {
    library_failed(s, "no schema could be learned");
    return;
  }
  if (lua_isstring(L, -1)) fputs(lua_tostring(L, -1), stdout);
  lua_pop(L, 1);
}

int32_t tm_script_run(struct tm_script *s, struct tm_pipeline *p, int32_t first, int32_t last, int *failed) {
  lua_State *L = s->L;
  int top = lua_gettop(L);
  *failed = 0;
  s->shared->flow.due = 0;
  tm_script_push_handler(s);
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->ref_loops[p->index]);
  lua_pushinteger(L, first);
  lua_pushinteger(L, last);
  marker_set(s, p->index, first);
  int rc = lua_pcall(L, 2, 1, top + 1);
  int32_t row = s->shared->flow.marker.row;
  if (row > first) tm_lua_state_served();
  if (rc == 0) {
    int32_t next = (int32_t)lua_tointeger(L, -1);
    if (next > first) tm_lua_state_served();
    p->state->next = next;  /* before the marker is cleared: it tells that the event at the marker is done */
    p->state->due = s->shared->flow.due;
    marker_clear(s);
    lua_settop(L, top);
    if (s->checked) tm_arena_check_turn();
    return next;
  }
  *failed = 1;
  /* events before it that the loop has taken in and not passed on are still to be done, and are told first: the event that failed has
   * its turn behind them (M.fail) */
  int32_t taken = s->shared->flow.taken - 1;
  int postponed = taken >= 0 && row >= 0;
  tm_lua_state_reserve(1);
  tm_script_error_fill(s, rc);
  s->shared->flow.marker.serial = ++s->serial;  /* what follows has a deadline of its own */
  struct tm_undo *u = &s->shared->undo;
  tm_undo_keep(u, p->state, sizeof *p->state);
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->ref_fail);
  lua_pushinteger(L, p->index);
  lua_pushinteger(L, row);
  lua_pushvalue(L, -4);
  if (lua_pcall(L, 3, 0, 0) != 0) {
    library_failed(s, "a failed event could not be recorded");
    tm_flow_rollback(p, row);
    tm_undo_keep(u, &s->shared->counters.events_failed, sizeof s->shared->counters.events_failed);
    s->shared->counters.events_failed++;
    s->shared->strict_failed = 1;
  }
  /* what fails behind an event leaves that event done; an event that fails may have moved the watermark (flow.due) */
  p->state->due = !postponed && (row < 0 || s->shared->flow.due);
  p->state->failed += row >= 0 && !postponed;
  p->state->next = taken >= 0 ? taken : (row < 0 ? row - TM_AFTER : row) + 1;
  s->shared->flow.taken = 0;
  tm_undo_done(u);
  marker_clear(s);
  lua_settop(L, top);
  tm_lua_state_reserve(0);
  return p->state->next;
}

void tm_script_bad_line(struct tm_script *s, struct tm_pipeline *p, int32_t row, const char *code, const char *why) {
  lua_State *L = s->L;
  push_function(s, "bad_line");
  lua_pushinteger(L, p->index);
  lua_pushinteger(L, row);
  lua_pushstring(L, code);
  lua_pushstring(L, why);
  tm_lua_state_reserve(1);
  if (lua_pcall(L, 4, 0, 0) != 0) library_failed(s, "a bad line could not be recorded");
  tm_lua_state_reserve(0);
}

void tm_script_batch_begin(struct tm_script *s, struct tm_source *source, int32_t rows) {
  lua_State *L = s->L;
  if (s->checked) tm_arena_check_turn();
  tm_script_count_traces(s);
  tm_lua_state_pace(L);
  push_function(s, "batch_begin");
  lua_pushinteger(L, source->index);
  lua_pushinteger(L, rows);
  lua_pushboolean(L, source->state->firing);
  tm_lua_state_reserve(1);
  if (lua_pcall(L, 3, 0, 0) != 0) library_failed(s, "a batch could not be begun");
  tm_lua_state_reserve(0);
}

int tm_script_generate(struct tm_script *s, struct tm_source *source, struct tm_buf *buf, int32_t max_bytes, struct tm_err *err) {
  lua_State *L = s->L;
  int top = lua_gettop(L);
  tm_script_push_handler(s);
  push_function(s, "generate");
  lua_pushinteger(L, source->index);
  lua_pushlightuserdata(L, buf);
  lua_pushinteger(L, max_bytes);
  lua_pushinteger(L, TM_BATCH_ROWS);
  lua_pushnumber(L, source->state->generated);
  marker_set(s, -1, (int32_t)((int64_t)source->state->generated & 0x7fffffff));
  int rc = lua_pcall(L, 5, 2, top + 1);
  if (rc != 0) {
    tm_script_error_fill(s, rc);
    marker_clear(s);
    tm_script_error_of_load(s, err);
    err->exit_code = 1;
    lua_settop(L, top);
    return -1;
  }
  marker_clear(s);
  source->state->generated += lua_tonumber(L, -2);
  int ended = lua_toboolean(L, -1);
  lua_settop(L, top);
  return ended;
}

int tm_script_idle(struct tm_script *s, double now, int32_t *part, double *due) {
  lua_State *L = s->L;
  int top = lua_gettop(L);
  push_function(s, "idle");
  lua_pushnumber(L, now);
  if (lua_pcall(L, 1, 2, 0) != 0) library_failed(s, "silent inputs could not be looked for");
  int source = lua_isnil(L, -2) ? -1 : (int)lua_tointeger(L, -2);
  *due = lua_tonumber(L, -1);
  *part = source < 0 ? 0 : (int32_t)lua_tointeger(L, -1);
  lua_settop(L, top);
  return source;
}

void tm_script_ending(struct tm_script *s, double now) {
  lua_State *L = s->L;
  int top = lua_gettop(L);
  push_function(s, "ending");
  lua_pushnumber(L, now);
  if (lua_pcall(L, 1, 0, 0) != 0) library_failed(s, "what the run holds at its end could not be told");
  lua_settop(L, top);
}

void tm_script_guarantees(struct tm_script *s) {
  int top = lua_gettop(s->L);
  push_function(s, "guarantees");
  if (lua_pcall(s->L, 0, 0, 0) != 0) library_failed(s, "what sinks promise could not be told");
  lua_settop(s->L, top);
}

int tm_script_rests(struct tm_script *s) {
  lua_State *L = s->L;
  int top = lua_gettop(L);
  push_function(s, "resting");
  int rests = lua_pcall(L, 0, 1, 0) == 0 && lua_toboolean(L, -1);
  lua_settop(L, top);
  return rests;
}

int tm_script_save(struct tm_script *s, struct tm_buf *out, struct tm_err *err) {
  lua_State *L = s->L;
  int top = lua_gettop(L), rc = 0;
  push_function(s, "save");
  if (lua_pcall(L, 0, 1, 0) != 0) rc = tm_err_set(err, 1, "save", "what the library keeps cannot be saved: %s", lua_tostring(L, -1));
  size_t n = 0;
  const char *text = rc == 0 ? lua_tolstring(L, -1, &n) : NULL;
  if (text != NULL && tm_buf_put(out, text, (int32_t)n) != 0) rc = tm_err_set(err, 1, "memory", "no memory to save what the library keeps");
  lua_settop(L, top);
  return rc;
}

/* Calls a function of the library that calls functions of scripts, or works long: 0 with its result at the top, or -1 with why. */
static int call_watched(struct tm_script *s, const char *name, const char *text, size_t n, struct tm_err *err) {
  lua_State *L = s->L;
  int top = lua_gettop(L);
  tm_script_push_handler(s);
  push_function(s, name);
  lua_pushlstring(L, text, n);
  marker_set(s, -1, 0);
  int failed = lua_pcall(L, 1, 1, top + 1);
  if (failed != 0) tm_script_error_fill(s, failed);
  marker_clear(s);
  if (failed != 0) tm_script_error_of_load(s, err);
  return failed != 0 ? -1 : 0;
}

int tm_script_restore(struct tm_script *s, const char *text, size_t n, struct tm_err *err) {
  lua_State *L = s->L;
  struct tm_err why = {0};
  int top = lua_gettop(L), rc = 0;
  if (call_watched(s, "restore", text, n, &why) != 0) {
    push_function(s, "restoring");
    rc = lua_pcall(L, 0, 1, 0) == 0 && lua_isstring(L, -1)
             ? tm_err_set(err, 6, "restore", "%s%s", lua_tostring(L, -1), why.detail)
             : tm_err_set(err, 6, "restore", "what the data folder keeps does not fit the scripts: %s", why.detail);
  } else if (!lua_isnil(L, -1)) {
    rc = tm_err_set(err, 6, "restore", "%s", lua_tostring(L, -1));
  }
  lua_settop(L, top);
  return rc;
}

int tm_script_import(struct tm_script *s, double *keys, struct tm_err *err) {
  int top = lua_gettop(s->L), rc = call_watched(s, "import", "", 0, err);
  if (rc == 0) *keys = lua_tonumber(s->L, -1);
  else err->exit_code = 1;
  lua_settop(s->L, top);
  return rc;
}

void tm_script_count_traces(struct tm_script *s) {
  struct tm_counters *c = &s->shared->counters;
  uint64_t *to[TM_SCRIPT_TRACES] = {&c->traces, &c->trace_aborts, &c->trace_flushes, &c->loops_compiled};
  for (int i = 0; i < TM_SCRIPT_TRACES; i++) {
    if (s->traces[i] != s->traces_told[i]) c->batches_to_warm = (uint64_t)s->shared->batch_serial;
    *to[i] += (uint64_t)(int64_t)(s->traces[i] - s->traces_told[i]);  /* a loop whose traces were thrown away counts no more */
    s->traces_told[i] = s->traces[i];
  }
}
