/* script_host.c - what the library may ask of the host (script_host.h): C functions that Lua calls. */
#include "script_host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/buf.h"
#include "../io/turns.h"
#include "../base/log.h"
#include "../base/owned.h"
#include "../codec/any.h"
#include "../command/options.h"
#include "../eventlog/point.h"
#include "embed.h"
#include "failure.h"
#include "lua_table.h"
#include "script_read.h"

enum { PRINTS_PER_SECOND = 200 };

static struct tm_script_host *self_of(lua_State *L) { return lua_touserdata(L, lua_upvalueindex(1)); }

/* ---- texts ---- */

static int host_text(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  for (const struct tm_embed *e = tm_embed_list; e->name != NULL; e++) {
    if (strcmp(e->name, name) == 0) {
      lua_pushlstring(L, e->text, e->len);
      return 1;
    }
  }
  lua_pushnil(L);
  return 1;
}

static int host_print(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  uint64_t second = tm_io_real.mono_ns(&tm_io_real) / 1000000000U;  /* the system's: the clock of a spec stands still */
  if (second != h->print_second) {
    h->print_second = second;
    h->prints = 0;
  }
  if (h->prints++ >= PRINTS_PER_SECOND) {
    h->shared->counters.user_prints_dropped++;
    return 0;
  }
  if (n > 4000) n = 4000;
  char *line = malloc(n * 4 + 1);
  if (line == NULL) return 0;
  size_t used = tm_log_clean(line, text, n);
  line[used++] = '\n';
  tm_log_text(line, used);
  free(line);
  return 0;
}

/* show(text): data that was asked for, to standard output; how that ended is the worker's to look at */
static int host_show(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  fwrite(text, 1, n, stdout);
  return 0;
}

/* ---- failed events ---- */

/* failure(pipeline, step, code, example, report or nil): the entry it is counted in */
static int host_failure(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  if (lua_isstring(L, 5)) tm_log_warning("%s", lua_tostring(L, 5));
  lua_pushinteger(L, tm_failure_count(h->shared, luaL_checkstring(L, 1), luaL_checkstring(L, 2), luaL_checkstring(L, 3),
                                      luaL_checkstring(L, 4)));
  return 1;
}

/* ---- the plan ---- */

static int raise_err(lua_State *L, const struct tm_err *err) {
  self_of(L)->changed |= err->exit_code == 6;
  lua_pushfstring(L, "%s", err->detail);
  return lua_error(L);
}

static double number_of(lua_State *L, int table, const char *name) {
  lua_getfield(L, table, name);
  double v = lua_type(L, -1) == LUA_TBOOLEAN ? lua_toboolean(L, -1) : lua_tonumber(L, -1);
  lua_pop(L, 1);
  return v;
}

static struct tm_record *record_arg(lua_State *L, int table) {
  size_t len;
  lua_getfield(L, table, "start");
  const char *start = luaL_checklstring(L, -1, &len);
  struct tm_record *record = tm_record_new(start, (int32_t)len, (int32_t)number_of(L, table, "max_lines"), number_of(L, table, "timeout_ms"));
  lua_pop(L, 1);
  if (record == NULL) luaL_error(L, "no memory for records");
  return record;
}

/* A list of names on top of the stack, for its taker to keep. */
static struct tm_csv_names *names_of(lua_State *L) {
  struct tm_csv_names *names = tm_owned_calloc(1, sizeof *names);
  if (names == NULL) luaL_error(L, "no memory for columns");
  for (int i = 1; i <= (int)lua_objlen(L, -1); i++) {
    size_t len;
    lua_rawgeti(L, -1, i);
    const char *name = luaL_checklstring(L, -1, &len);
    if (len > TM_CSV_NAMES_BYTES || tm_csv_names_add(names, name, (int32_t)len) != 0)
      luaL_error(L, "columns: at most %d names of 1 MiB in all", TM_CSV_COLUMNS_MAX);
    lua_pop(L, 1);
  }
  return names;
}

/* delimiter, header, columns, crlf, and { start, max_lines, timeout_ms } or whether line breaks are allowed, from that argument on */
static struct tm_csv_options csv_args(lua_State *L, int at) {
  const char *delimiter = luaL_optstring(L, at, ",");
  struct tm_csv_options o = {.delimiter = delimiter[0], .header = lua_toboolean(L, at + 1), .crlf = lua_toboolean(L, at + 3)};
  o.breaks = lua_toboolean(L, at + 4);
  if (lua_istable(L, at + 4)) o.record = record_arg(L, at + 4);
  if (!lua_istable(L, at + 2)) return o;
  lua_pushvalue(L, at + 2);
  o.columns = names_of(L);
  lua_pop(L, 1);
  return o;
}

/* The texts of a list, borrowed of it. */
static int32_t paths_of(lua_State *L, int at, const char **paths) {
  int32_t n = (int32_t)lua_objlen(L, at);
  if (n > TM_OPT_LIST_MAX) luaL_error(L, "a source reads at most %d files", TM_OPT_LIST_MAX);
  for (int32_t i = 0; i < n; i++) {
    lua_rawgeti(L, at, i + 1);
    paths[i] = luaL_checkstring(L, -1);
    lua_pop(L, 1);
  }
  return n;
}

/* files(paths): those that folders and patterns lead to; nil: that is told when they are opened */
static int host_files(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  const char *paths[TM_OPT_LIST_MAX];
  struct tm_err err = {0};
  int32_t files, n = paths_of(L, 1, paths);
  const char *text = tm_flow_files(h->flows, paths, n, &files, &err);
  if (text == NULL) return 0;
  lua_createtable(L, files, 0);
  for (int32_t i = 0; i < files; i++) {
    lua_pushstring(L, text + 1);
    lua_rawseti(L, -2, i + 1);
    text += strlen(text) + 1;
  }
  return 1;
}

static int host_add_source(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  const char *paths[TM_OPT_LIST_MAX];
  int32_t n = paths_of(L, 3, paths);
  struct tm_err err = {0};
  struct tm_csv_options csv = csv_args(L, 7);
  struct tm_fluent_options fluent = {luaL_optstring(L, 12, NULL), luaL_optstring(L, 13, NULL)};
  struct tm_source *source = tm_flow_add_source(h->flows, luaL_checkstring(L, 1), luaL_checkstring(L, 2), paths, n,
                                                (int32_t)luaL_checkinteger(L, 4), (int32_t)luaL_optinteger(L, 6, TM_FORMAT_JSON), &csv,
                                                &fluent, &err);
  if (source == NULL) return raise_err(L, &err);
  lua_pushlightuserdata(L, source->batch);
  lua_pushlightuserdata(L, source->fields);
  return 2;
}

/* source_how(index, { follow, rate, period_ms, count }) */
static int host_source_how(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  struct tm_err err = {0};
  struct tm_source_how how = {.follow = number_of(L, 2, "follow") != 0, .rate = number_of(L, 2, "rate"),
                              .period_ms = number_of(L, 2, "period_ms"), .count = number_of(L, 2, "count")};
  if (tm_flow_source_how(h->flows, (int32_t)luaL_checkinteger(L, 1), &how, &err) != 0) return raise_err(L, &err);
  return 0;
}

/* source_time(index, field, unit): where its events have their time */
static int host_source_time(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  tm_flow_source_time(h->flows, (int32_t)luaL_checkinteger(L, 1), (int32_t)luaL_checkinteger(L, 2), (int32_t)luaL_checkinteger(L, 3));
  return 0;
}

/* part_over(part): has that partition of an input (tm_batch.part) ended? */
static int host_part_over(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  int32_t part = (int32_t)luaL_checkinteger(L, 1);
  lua_pushboolean(L, tm_source_part_over(h->flows->sources[part >> 16], part & 0xFFFF));
  return 1;
}

/* watermark(pipeline, ms[, part, silent_ms]): for the summary, and the input it waits for */
static int host_watermark(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  struct tm_shared *sh = h->flows->shared;
  if (sh->watermarks_n >= TM_SHARED_WATERMARKS) return 0;
  struct tm_watermark *w = &sh->watermarks[sh->watermarks_n];
  snprintf(w->pipeline, sizeof w->pipeline, "%s", luaL_checkstring(L, 1));
  w->w = luaL_checknumber(L, 2);
  w->silent_ms = luaL_optnumber(L, 4, -1);
  w->input[0] = '\0';
  if (w->silent_ms >= 0) snprintf(w->input, sizeof w->input, "%s", tm_source_part_name(h->flows->sources[luaL_checkinteger(L, 3) >> 16], luaL_checkinteger(L, 3) & 0xFFFF));
  sh->watermarks_n++;
  return 0;
}

/* state_size(name, keys, bytes): for the summary */
static int host_state_size(lua_State *L) {
  struct tm_shared *sh = self_of(L)->flows->shared;
  if (sh->states_n >= TM_SHARED_STATES) return 0;
  struct tm_state_size *s = &sh->states[sh->states_n];
  snprintf(s->name, sizeof s->name, "%s", luaL_checkstring(L, 1));
  s->keys = luaL_checknumber(L, 2);
  s->bytes = luaL_checknumber(L, 3);
  sh->states_n++;
  return 0;
}

/* guarantee(index of a sink, words): for status */
static int host_guarantee(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  struct tm_shared *sh = h->flows->shared;
  int32_t index = (int32_t)luaL_checkinteger(L, 1);
  if (index < 0 || index >= h->flows->outlets_n) return 0;
  for (int32_t i = 0; i < sh->sinks_n; i++) {
    struct tm_sink_place *p = &sh->sinks[i];
    if (strcmp(p->name, h->flows->outlets[index]->sink.name) == 0) snprintf(p->guarantee, sizeof p->guarantee, "%s", luaL_checkstring(L, 2));
  }
  return 0;
}

/* rule_done(name, mode, matches, counted, errors, unknowns, ns, note, called): for the summary */
static int host_rule_done(lua_State *L) {
  struct tm_shared *sh = self_of(L)->flows->shared;
  if (sh->rules_n >= TM_SHARED_RULES) {
    sh->rules_more++;
    return 0;
  }
  struct tm_rule_done *r = &sh->rules[sh->rules_n];
  snprintf(r->name, sizeof r->name, "%s", luaL_checkstring(L, 1));
  snprintf(r->mode, sizeof r->mode, "%s", luaL_checkstring(L, 2));
  r->matches = luaL_checknumber(L, 3);
  r->counted = luaL_checknumber(L, 4);
  r->errors = luaL_checknumber(L, 5);
  r->unknowns = luaL_checknumber(L, 6);
  r->ns = luaL_checknumber(L, 7);
  snprintf(r->note, sizeof r->note, "%s", luaL_checkstring(L, 8));
  r->called = luaL_checknumber(L, 9);
  sh->rules_n++;
  return 0;
}

/* part_name(part): the file, or the source, that a partition is */
static int host_part_name(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  int32_t part = (int32_t)luaL_checkinteger(L, 1);
  lua_pushstring(L, tm_source_part_name(h->flows->sources[part >> 16], part & 0xFFFF));
  return 1;
}

/* quiet(part): since when that partition's source has been asked and had nothing, ms; 0 if that is not known of its files one by one;
 * nil: it had something, or was not asked */
static int host_quiet(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  const struct tm_source *s = h->flows->sources[(int32_t)luaL_checkinteger(L, 1) >> 16];
  if (s->seen != NULL && s->seen->quiet_ms >= 0) lua_pushnumber(L, s->seen->quiet_ms);
  else if (s->seen != NULL) lua_pushnil(L);
  else if (s->follow != NULL) lua_pushinteger(L, 0);
  else if (s->quiet_ms > 0) lua_pushnumber(L, s->quiet_ms);
  else lua_pushnil(L);
  return 1;
}

/* wall_ms(): the time of the clock on the wall, ms since 1970 */
static int host_wall_ms(lua_State *L) {
  const struct tm_script_host *h = self_of(L);
  lua_pushnumber(L, (lua_Number)h->flows->io->real_ms(h->flows->io));
  return 1;
}

/* at_work(source): a batch moves through its island, or a sink there takes nothing: nobody can say that it is silent */
static int host_at_work(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  lua_pushboolean(L, tm_flow_is_at_work(h->flows, tm_flow_island(h->flows, h->flows->sources[(int32_t)luaL_checkinteger(L, 1)])));
  return 1;
}

/* source_one(index) */
static int host_source_one(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  tm_flow_source_one(h->flows, (int32_t)luaL_checkinteger(L, 1));
  return 0;
}

/* source_waits(index, first) */
static int host_source_waits(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  tm_flow_source_waits(h->flows, (int32_t)luaL_checkinteger(L, 1), (int32_t)luaL_checkinteger(L, 2));
  return 0;
}

/* source_shares(index, other) */
static int host_source_shares(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  tm_flow_source_shares(h->flows, (int32_t)luaL_checkinteger(L, 1), (int32_t)luaL_checkinteger(L, 2));
  return 0;
}

static int host_add_sink(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  struct tm_err err = {0};
  struct tm_csv_options csv = csv_args(L, 7);
  struct tm_sink *sink = tm_flow_add_sink(h->flows, luaL_checkstring(L, 1), luaL_checkstring(L, 2), luaL_checkstring(L, 3),
                                          (int32_t)luaL_checkinteger(L, 5), (int32_t)luaL_optinteger(L, 6, TM_FORMAT_JSON), &csv,
                                          &err);
  if (sink == NULL) return raise_err(L, &err);
  lua_pushinteger(L, sink->index);
  return 1;
}

/* sink_how(index, { template, pack, roll_size, roll_every_ms, max_files }) */
static int host_sink_how(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  struct tm_err err = {0};
  struct tm_files_how how = {.template = number_of(L, 2, "template") != 0, .pack = (enum tm_pack_kind)number_of(L, 2, "pack"),
                             .roll_size = number_of(L, 2, "roll_size"), .roll_every_ms = number_of(L, 2, "roll_every_ms"),
                             .max_files = (int32_t)number_of(L, 2, "max_files")};
  if (tm_flow_sink_how(h->flows, (int32_t)luaL_checkinteger(L, 1), &how, &err) != 0) return raise_err(L, &err);
  return 0;
}

/* log_point(text): what it is (enum tm_log_point_kind) and its value; nil and why it is none */
static int host_log_point(lua_State *L) {
  struct tm_log_point point;
  char why[256];
  if (tm_log_point_parse(luaL_checkstring(L, 1), &point, why, sizeof why) != 0) {
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
  }
  lua_pushinteger(L, point.kind);
  lua_pushnumber(L, point.value);
  return 2;
}

/* source_log(index, { follow, from, from_at, until_, until_at, speed }): from and until_ are of enum tm_log_from and tm_log_until */
static int host_source_log(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  struct tm_err err = {0};
  struct tm_log_source_how how = {.follow = number_of(L, 2, "follow") != 0, .from = (enum tm_log_from)number_of(L, 2, "from"),
                                  .until = (enum tm_log_until)number_of(L, 2, "until_"), .from_at = number_of(L, 2, "from_at"),
                                  .until_at = number_of(L, 2, "until_at"), .speed = number_of(L, 2, "speed")};
  if (tm_flow_source_log(h->flows, (int32_t)luaL_checkinteger(L, 1), &how, &err) != 0) return raise_err(L, &err);
  return 0;
}

/* sink_log(index, { segment, retain_ms, retain_bytes }) */
static int host_sink_log(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  struct tm_err err = {0};
  struct tm_eventlog_options options = {.segment_bytes = (int64_t)number_of(L, 2, "segment"), .retain_ms = (int64_t)number_of(L, 2, "retain_ms"),
                                        .retain_bytes = (int64_t)number_of(L, 2, "retain_bytes")};
  if (tm_flow_sink_log(h->flows, (int32_t)luaL_checkinteger(L, 1), &options, &err) != 0) return raise_err(L, &err);
  return 0;
}

/* sink_compare(index, part) */
static int host_sink_compare(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  struct tm_err err = {0};
  if (tm_flow_sink_compare(h->flows, (int32_t)luaL_checkinteger(L, 1), lua_toboolean(L, 2), &err) != 0) return raise_err(L, &err);
  return 0;
}

static struct tm_csv_names *names_field(lua_State *L, int table, const char *name) {
  lua_getfield(L, table, name);
  struct tm_csv_names *names = lua_istable(L, -1) ? names_of(L) : NULL;
  lua_pop(L, 1);
  return names;
}

/* sink_sqlite(index, { table, sink, columns, named, keys, batch }) */
static int host_sink_sqlite(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  struct tm_err err = {0};
  lua_getfield(L, 2, "table");
  lua_getfield(L, 2, "sink");
  struct tm_sqlite_how how = {.table = luaL_checkstring(L, -2), .sink = luaL_checkstring(L, -1), .columns = names_field(L, 2, "columns"),
                              .named = number_of(L, 2, "named") != 0, .keys = names_field(L, 2, "keys"),
                              .batch = (int32_t)number_of(L, 2, "batch")};
  if (tm_flow_sink_sqlite(h->flows, (int32_t)luaL_checkinteger(L, 1), &how, &err) != 0) return raise_err(L, &err);
  return 0;
}

static int host_add_pipeline(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  struct tm_err err = {0};
  if (tm_flow_add_pipeline(h->flows, luaL_checkstring(L, 1), (int32_t)luaL_checkinteger(L, 2), &err) == NULL) return raise_err(L, &err);
  return 0;
}

static int host_add_out(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  struct tm_err err = {0};
  struct tm_out *out = tm_flow_add_out(h->flows, (int32_t)luaL_checkinteger(L, 1), (int32_t)luaL_checkinteger(L, 2),
                                       lua_toboolean(L, 3), &err);
  if (out == NULL) return raise_err(L, &err);
  lua_pushlightuserdata(L, out);
  return 1;
}

/* ---- events ---- */

static struct tm_pipeline *pipeline_arg(lua_State *L, struct tm_script_host *h) {
  lua_Integer i = luaL_checkinteger(L, 1);
  if (i < 0 || i >= h->flows->pipelines_n) luaL_error(L, "no pipeline %d", (int)i);
  return h->flows->pipelines[i];
}

static int host_position(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  char text[512];
  tm_flow_position(h->flows, pipeline_arg(L, h), (int32_t)luaL_checkinteger(L, 2), text, sizeof text, NULL, NULL);
  lua_pushstring(L, text);
  return 1;
}

static int host_origin(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  char text[512];
  const char *name;
  double line;
  tm_flow_position(h->flows, pipeline_arg(L, h), (int32_t)luaL_checkinteger(L, 2), text, sizeof text, &name, &line);
  lua_pushstring(L, name);
  lua_pushnumber(L, line);
  return 2;
}

/* fires(pipeline): its steps give rows at the end of input */
static int host_fires(lua_State *L) {
  pipeline_arg(L, self_of(L))->fires = 1;
  return 0;
}

/* inform(text): what is neither wrong nor data */
static int host_inform(lua_State *L) {
  tm_log_info("%s", luaL_checkstring(L, 1));
  return 0;
}

/* warn(text) */
static int host_warn(lua_State *L) {
  tm_log_warning("%s", luaL_checkstring(L, 1));
  return 0;
}

/* end_run(): nothing more is read, and the run ends as after TERM */
static int host_end_run(lua_State *L) {
  self_of(L)->shared->drain = 1;
  return 0;
}

/* latency(): how many events have passed from source to sink, and how long it took them: p50, p99, p99.9, ns */
static int host_latency(lua_State *L) {
  static const double quantiles[] = {0.5, 0.99, 0.999};
  const struct tm_hist *h = &self_of(L)->shared->latency;
  lua_pushnumber(L, (lua_Number)h->count);
  for (int i = 0; i < 3; i++) lua_pushnumber(L, (lua_Number)tm_hist_quantile(h, quantiles[i]));
  return 4;
}

/* stop_run(why): the run ends in order, with exit code 1 */
static int host_stop_run(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  if (!h->shared->failed) tm_log_error("%s; the run ends", luaL_checkstring(L, 1));
  h->shared->failed = 1;
  h->shared->drain = 1;
  return 0;
}

/* fail_run(why): an error; the run goes on and ends with exit code 1 */
static int host_fail_run(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  tm_log_error("%s", luaL_checkstring(L, 1));
  h->shared->failed = 1;
  return 0;
}

static int host_rollback(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  tm_flow_rollback(pipeline_arg(L, h), (int32_t)luaL_checkinteger(L, 2));
  return 0;
}

/* failed_again(pipeline, row, entry): rollback, and one more of that entry */
static int host_failed_again(lua_State *L) {
  struct tm_script_host *h = self_of(L);
  tm_flow_rollback(pipeline_arg(L, h), (int32_t)luaL_checkinteger(L, 2));
  tm_failure_again(h->shared, (int32_t)luaL_checkinteger(L, 3));
  return 0;
}

void tm_script_host_push(lua_State *L, struct tm_script_host *h) {
  static const struct { const char *name; lua_CFunction fn; } functions[] = {
    {"text", host_text}, {"read", tm_script_read}, {"read_data", tm_script_read_data}, {"compiled", tm_script_compiled}, {"print", host_print}, {"failure", host_failure},
    {"files", host_files}, {"folder", tm_script_folder}, {"add_source", host_add_source}, {"add_sink", host_add_sink}, {"add_pipeline", host_add_pipeline},
    {"source_how", host_source_how}, {"source_time", host_source_time}, {"source_waits", host_source_waits}, {"source_one", host_source_one},
    {"source_shares", host_source_shares}, {"at_work", host_at_work}, {"part_over", host_part_over}, {"part_name", host_part_name},
    {"watermark", host_watermark}, {"state_size", host_state_size}, {"rule_done", host_rule_done}, {"guarantee", host_guarantee}, {"quiet", host_quiet}, {"sink_how", host_sink_how},
    {"source_log", host_source_log}, {"log_point", host_log_point}, {"sink_compare", host_sink_compare}, {"sink_log", host_sink_log},
    {"sink_sqlite", host_sink_sqlite},
    {"add_out", host_add_out}, {"show", host_show}, {"position", host_position}, {"origin", host_origin}, {"rollback", host_rollback},
    {"failed_again", host_failed_again}, {"fires", host_fires}, {"stop_run", host_stop_run}, {"end_run", host_end_run}, {"latency", host_latency},
    {"warn", host_warn}, {"inform", host_inform},
    {"fail_run", host_fail_run}, {"wall_ms", host_wall_ms}, {"table_packer", tm_lua_table_packer},
  };
  lua_newtable(L);
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    lua_pushlightuserdata(L, h);
    lua_pushcclosure(L, functions[i].fn, 1);
    lua_setfield(L, -2, functions[i].name);
  }
  lua_pushboolean(L, h->flows->compiled != NULL && h->flows->compiles);
  lua_setfield(L, -2, "compiles");
  lua_pushlightuserdata(L, h->changes);
  lua_setfield(L, -2, "changes");
  tm_buf_init(&h->packed, TM_ANY_SIZE_MAX);
  lua_pushlightuserdata(L, &h->packed);
  lua_setfield(L, -2, "packed");
}
