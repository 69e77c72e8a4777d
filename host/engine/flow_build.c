/* flow_build.c - making sources, sinks, pipelines and outs while a script loads (flow.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/buf.h"
#include "../io/turns.h"
#include "../codec/csv_write.h"
#include "../codec/format.h"
#include "../codec/out.h"
#include "../io/follow.h"
#include "../io/log_sink.h"
#include "../io/log_source.h"
#include "../io/paths.h"
#include "flow.h"
#include "flow_plan.h"

enum {
  SOFT_MIN = 8192,           /* of one of many writers of a sink */
  SIDE_MORE = 16 * 1024 * 1024
};

static void copy_text(char *to, size_t size, const char *from) {
  size_t n = strnlen(from, size - 1);
  memcpy(to, from, n);
  to[n] = 0;
}

static int no_memory(struct tm_err *err, const char *what) {
  return tm_err_set(err, 1, "memory", "no memory for %s", what);
}

/* TM_PAD bytes before and behind; `side` more bytes with their own pad behind that */
static int buffer_region(struct tm_flows *f, const char *what, uint64_t key, int32_t n, int32_t cap, int32_t side,
                         struct tm_buf *buf, struct tm_err *err) {
  char *data = tm_flow_region(f, what, key, n, (size_t)cap + (size_t)side + 3 * TM_PAD, err);
  if (data == NULL) return -1;
  tm_buf_init_fixed(buf, data + TM_PAD, cap);
  return 0;
}

/* Texts that Lua asks for of a batch of msgpack: JSON is up to six times as long. */
static int32_t side_size(int32_t max_event) {
  int64_t size = 8 * (int64_t)max_event + SIDE_MORE, most = INT32_MAX - 4 * (int64_t)max_event - SIDE_MORE;
  return (int32_t)(size < most ? size : most);
}

/* The side of a batch lies behind the buffer it points into, and what was put together there (room). */
static void side_set(struct tm_batch *b, const struct tm_buf *buf, int32_t room, int32_t side) {
  b->side = buf->data + buf->cap + TM_PAD + room;
  b->side_cap = side;
}

/* ---- files ---- */

struct list { int32_t bytes, files; };

/* What patterns and folders lead to, looked up once in a run and kept in shared memory. */
static char *found_files(struct tm_flows *f, const char *what, uint64_t key, char *const *paths, int32_t paths_n, int32_t *files,
                         struct tm_err *err) {
  struct list *list = tm_flow_region(f, what, key, 0, sizeof *list, err);
  char name[32];
  if (list == NULL) return NULL;
  snprintf(name, sizeof name, "%s-text", what);
  char *text = NULL;
  if (list->bytes == 0) {
    struct tm_buf found;
    int32_t n = 0;
    tm_buf_init(&found, INT32_MAX / 2);
    if (tm_paths_find(paths, paths_n, &found, &n, err) == 0) text = tm_flow_region(f, name, key, 0, (size_t)found.len, err);
    if (text != NULL) {
      memcpy(text, found.data, (size_t)found.len);
      list->files = n;
      tm_undo_fence();
      list->bytes = found.len;
    }
    tm_buf_fini(&found);
  } else {
    text = tm_flow_region(f, name, key, 0, (size_t)list->bytes, err);
  }
  *files = list->files;
  return text;
}

char *tm_flow_files(struct tm_flows *f, const char **paths, int32_t n, int32_t *files, struct tm_err *err) {
  uint64_t key = tm_plan_paths(paths, n);
  if (f->lists_n == TM_LISTS_MAX) {
    tm_err_set(err, 3, "lists", "a run asks for files by patterns at most %d times", TM_LISTS_MAX);
    return NULL;
  }
  f->lists[f->lists_n++] = key;
  return found_files(f, "named", key, (char *const *)(uintptr_t)paths, n, files, err);
}

static void list_keep(struct tm_flows *f, const char *what, uint64_t key, struct tm_keeper *k) {
  char text[32];
  const struct list *list = tm_flow_region_found(f, what, key, sizeof *list);
  snprintf(text, sizeof text, "%s-text", what);
  if (list == NULL) return;
  tm_keep(k, list, sizeof *list);
  if (list->bytes > 0) tm_keep(k, tm_flow_region_found(f, text, key, (size_t)list->bytes), (size_t)list->bytes);
}

void tm_flow_lists_keep(struct tm_flows *f, struct tm_keeper *k) {
  for (int32_t i = 0; i < f->lists_n; i++) list_keep(f, "named", f->lists[i], k);
  for (int32_t i = 0; i < f->sources_n; i++)
    if (f->sources[i]->kind == TM_SOURCE_FILE && f->sources[i]->follow_state == NULL) list_keep(f, "files", f->sources[i]->key, k);
}

/* ---- sources ---- */

static int source_kind(const char *kind) {
  static const char *const names[] = {"file", "stdin", "generate", "link", "every", "log"};
  for (int i = 0; i < 6; i++)
    if (strcmp(names[i], kind) == 0) return i;
  return -1;
}

static int copy_paths(struct tm_source *s, const char **paths, int32_t n, struct tm_err *err) {
  s->paths = calloc((size_t)n + 1, sizeof *s->paths);
  if (s->paths == NULL) return no_memory(err, "paths");
  s->paths_n = n;
  for (int32_t i = 0; i < n; i++)
    if ((s->paths[i] = strdup(paths[i])) == NULL) return no_memory(err, "paths");
  return 0;
}

/* Made when the first compressed file is met, as most runs never meet one; where address space is short, a small one. */
static struct tm_unpack *unpack_get(struct tm_source *s, size_t *size) {
  struct tm_flows *f = s->owner;
  struct tm_unpack *u = NULL;
  for (int small = 0; small < 2 && u == NULL; small++) {
    *size = tm_unpack_size(small);
    u = tm_flow_region(f, "unpack", s->key, small, *size, NULL);
  }
  return u;
}

/* The names of columns outlive a worker, how rows are read comes from the script again. */
static int add_csv(struct tm_flows *f, struct tm_source *s, int32_t format, const struct tm_csv_options *csv, struct tm_err *err) {
  s->batch->csv = NULL;
  if (format != TM_FORMAT_CSV && format != TM_FORMAT_LINES) return 0;
  struct tm_csv_names *shared = tm_flow_region(f, "columns", s->key, 0, sizeof *shared, err);
  if (shared == NULL) return -1;
  const struct tm_csv_names *given = format == TM_FORMAT_LINES ? tm_csv_names_line() : csv->columns;
  s->batch->csv = tm_csv_new(format, csv->delimiter, csv->header, given, shared);
  if (s->batch->csv == NULL) return no_memory(err, "a source");
  s->batch->csv->record = csv->record;
  return 0;
}

static int add_fluent(struct tm_source *s, int32_t room, const struct tm_fluent_options *fluent, struct tm_err *err) {
  s->batch->fluent = NULL;
  if (room == 0) return 0;
  s->batch->fluent = tm_fluent_new(s->fields, fluent, s->buf.data + s->buf.cap + TM_PAD, room - TM_PAD);
  return s->batch->fluent != NULL ? 0 : no_memory(err, "a source");
}

struct tm_source *tm_flow_add_source(struct tm_flows *f, const char *kind, const char *name, const char **paths,
                                     int32_t paths_n, int32_t link_sink, int32_t format, const struct tm_csv_options *csv,
                                     const struct tm_fluent_options *fluent, struct tm_err *err) {
  int k = source_kind(kind);
  TM_ASSERT(k >= 0);
  if (f->sources_n == TM_SOURCES_MAX) {
    tm_err_set(err, 3, "sources", "a run has at most %d sources", TM_SOURCES_MAX);
    return NULL;
  }
  int32_t i = f->sources_n;
  struct tm_source *s = calloc(1, sizeof *s);
  if (s == NULL || copy_paths(s, paths, paths_n, err) != 0) {
    free(s);
    no_memory(err, "a source");
    return NULL;
  }
  s->index = i;
  s->kind = (enum tm_source_kind)k;
  s->fd = -1;
  s->max_event = f->max_event;
  s->piece = 256;  /* grows as its events ask for it */
  s->io = f->io;
  s->undo = &f->shared->undo;
  s->owner = f;
  s->unpack_get = unpack_get;
  copy_text(s->name, sizeof s->name, name);
  s->key = tm_plan_source_key(f, s);
  s->fields = tm_fields_new();
  s->batch = tm_flow_region(f, "batch", s->key, 0, sizeof *s->batch, err);
  s->state = tm_flow_region(f, "source", s->key, 0, sizeof *s->state, err);
  int link = s->kind == TM_SOURCE_LINK;
  int32_t side = format == TM_FORMAT_JSON ? 0 : side_size(f->max_event);
  int32_t room = format == TM_FORMAT_FLUENT ? f->max_event + TM_FLUENT_ROOM + TM_PAD : 0;
  if (s->fields == NULL || s->batch == NULL || s->state == NULL || add_csv(f, s, format, csv, err) != 0 ||
      (!link && buffer_region(f, "input", s->key, 0, 2 * f->max_event + 6 * TM_BLOCK, room + side, &s->buf, err) != 0) ||
      add_fluent(s, room, fluent, err) != 0) {
    free(s);
    return NULL;
  }
  s->batch->fields = s->fields;
  s->batch->format = format == TM_FORMAT_FLUENT ? TM_FORMAT_MSGPACK : format;
  if (side > 0 && !link) side_set(s->batch, &s->buf, room, side);
  if (s->state->file == 0 && s->state->line == 0) s->state->line = tm_formats[format].first;
  if (link) {
    f->outlets[link_sink]->link = s;
    f->links[i] = f->outlets[link_sink];
  }
  f->shared_with[i] = i;
  f->sources[f->sources_n++] = s;
  return s;
}

/* Does a sink that is open write this file? */
static int is_written(struct tm_source *s, uint64_t dev, uint64_t ino) {
  const struct tm_flows *f = s->owner;
  struct stat st;
  for (int32_t i = 0; i < f->outlets_n; i++) {
    const struct tm_sink *sink = &f->outlets[i]->sink;
    if (sink->files != NULL && tm_files_has(sink->files, dev, ino)) return 1;
    if (sink->regular && fstat(sink->fd, &st) == 0 && (uint64_t)st.st_dev == dev && (uint64_t)st.st_ino == ino) return 1;
  }
  return 0;
}

int tm_flow_source_how(struct tm_flows *f, int32_t source, const struct tm_source_how *how, struct tm_err *err) {
  struct tm_source *s = f->sources[source];
  s->rate = how->rate;
  s->period_ms = (int64_t)how->period_ms;
  s->count = how->count;
  s->is_written = is_written;
  if (!how->follow) return 0;
  s->follow_state = tm_flow_region(f, "follow", s->key, 0, sizeof *s->follow_state, err);
  return s->follow_state != NULL ? 0 : -1;
}

void tm_flow_source_time(struct tm_flows *f, int32_t source, int32_t field, int32_t unit) {
  f->sources[source]->time_field = field;
  f->sources[source]->time_unit = unit;
}

/* Bounded inputs whose events' times are known take turns, if there are several. */
static int begin_turns(struct tm_flows *f, struct tm_err *err) {
  int32_t n = 0;
  for (int32_t i = 0; i < f->sources_n; i++) {
    struct tm_source *s = f->sources[i];
    if (s->live || !tm_turns_possible(s)) s->time_field = 0;
    n += s->time_field > 0;
  }
  for (int32_t i = 0; i < f->sources_n; i++) {
    struct tm_source *s = f->sources[i];
    struct tm_turn_file *files = NULL;
    int of_files = s->time_field > 0 && tm_turns_of_files(s);
    if (s->time_field == 0 || (n < 2 && !of_files)) continue;
    if (of_files && (files = tm_flow_region(f, "turns", s->key, 0, (size_t)s->paths_n * sizeof *files, err)) == NULL) return -1;
    if (tm_turns_begin(s, files) != 0) return no_memory(err, "a source");
  }
  return 0;
}

void tm_flow_source_one(struct tm_flows *f, int32_t source) {
  f->sources[source]->one = 1;
}

void tm_flow_source_waits(struct tm_flows *f, int32_t source, int32_t first) {
  f->waits[source][first / 64] |= (uint64_t)1 << (first % 64);
}

int tm_flow_is_held(const struct tm_flows *f, const struct tm_source *s) {
  for (int32_t i = 0; i < f->sources_n; i++) {
    if ((f->waits[s->index][i / 64] >> (i % 64) & 1) != 0 && !f->sources[i]->state->done) return 1;
  }
  return 0;
}

/* ---- sinks and outs ---- */


/* The columns that the first row says outlive a worker. */
static int add_csv_out(struct tm_flows *f, struct tm_outlet *o, const struct tm_csv_options *csv, struct tm_err *err) {
  int lines = o->sink.format == TM_FORMAT_LINES;
  /* nobody writes names that are given */
  struct tm_csv_names *given = lines ? (struct tm_csv_names *)(uintptr_t)tm_csv_names_line() : csv->columns;
  struct tm_csv_names *shared = given != NULL ? NULL : tm_flow_region(f, "sink-columns", o->sink.key, 0, sizeof *shared, err);
  if (given == NULL && shared == NULL) return -1;
  o->csv = tm_csv_out_new(o->sink.format, csv->delimiter, csv->crlf, csv->header, given, shared);
  if (o->csv == NULL) return no_memory(err, "a sink");
  o->csv->breaks = csv->breaks;
  return 0;
}

struct tm_sink *tm_flow_add_sink(struct tm_flows *f, const char *kind, const char *path, const char *name, int32_t source,
                                 int32_t format, const struct tm_csv_options *csv, struct tm_err *err) {
  static const char *const names[] = {"file", "stdout", "discard", "link", "memory", "log", "compare", "sqlite"};
  (void)source;
  int table = strcmp(kind, "table") == 0, k = table ? TM_SINK_DISCARD : -1;
  for (int i = 0; i < 8; i++)
    if (strcmp(names[i], kind) == 0) k = i;
  TM_ASSERT(k >= 0);
  if (f->outlets_n == TM_SINKS_MAX) {
    tm_err_set(err, 3, "sinks", "a run has at most %d sinks", TM_SINKS_MAX);
    return NULL;
  }
  struct tm_outlet *o = calloc(1, sizeof *o);
  char *copy = strdup(path);
  if (o == NULL || copy == NULL) {
    free(o);
    free(copy);
    no_memory(err, "a sink");
    return NULL;
  }
  o->sink.index = f->outlets_n;
  o->sink.kind = (enum tm_sink_kind)k;
  o->sink.table = table;
  o->sink.fd = -1;
  o->sink.format = format;
  o->sink.path = copy;
  o->sink.io = f->io;
  o->sink.undo = &f->shared->undo;
  o->sink.relay = f->shared->relay;
  o->dead_only = 1;
  copy_text(o->sink.name, sizeof o->sink.name, name);
  o->sink.key = tm_plan_sink_key(f, &o->sink);
  o->sink.state = tm_flow_region(f, "sink", o->sink.key, 0, sizeof *o->sink.state, err);
  if (o->sink.state == NULL) return NULL;
  if ((format == TM_FORMAT_CSV || format == TM_FORMAT_LINES) && add_csv_out(f, o, csv, err) != 0) return NULL;
  f->outlets[f->outlets_n++] = o;
  return &o->sink;
}

int tm_flow_sink_how(struct tm_flows *f, int32_t sink, const struct tm_files_how *how, struct tm_err *err) {
  struct tm_sink *s = &f->outlets[sink]->sink;
  struct tm_files_memory m = {0};
  m.state = tm_flow_region(f, "files", s->key, 1, tm_files_state_size(how->max_files), err);
  m.names = tm_flow_region(f, "files-names", s->key, 0, tm_files_names_size(how->max_files), err);
  m.stage = tm_flow_region(f, "files-stage", s->key, 0, tm_files_stage_size(TM_ROW_BYTES_MAX), err);
  m.sorted = tm_flow_region(f, "files-sorted", s->key, 0, tm_files_sorted_size(TM_ROW_BYTES_MAX), err);
  m.packed = tm_flow_region(f, "files-packed", s->key, 0, tm_files_packed_size(TM_ROW_BYTES_MAX), err);
  if (m.state == NULL || m.names == NULL || m.stage == NULL || m.sorted == NULL || m.packed == NULL) return -1;
  s->files = tm_files_new(s->path, how, s->format, f->outlets[sink]->csv, TM_ROW_BYTES_MAX, &m, f->io, &f->shared->undo, err);
  return s->files != NULL ? 0 : -1;
}

struct tm_pipeline *tm_flow_add_pipeline(struct tm_flows *f, const char *name, int32_t source, struct tm_err *err) {
  if (f->pipelines_n == TM_PIPELINES_MAX) {
    tm_err_set(err, 3, "pipelines", "a run has at most %d pipelines", TM_PIPELINES_MAX);
    return NULL;
  }
  struct tm_pipeline *p = calloc(1, sizeof *p);
  if (p == NULL) {
    no_memory(err, "a pipeline");
    return NULL;
  }
  p->index = f->pipelines_n;
  copy_text(p->name, sizeof p->name, name);
  p->key = tm_plan_pipeline_key(f, p);
  p->source = f->sources[source];
  p->state = tm_flow_region(f, "pipeline", p->key, 0, sizeof *p->state, err);
  p->tally = tm_flow_region(f, "tally", p->key, 0, sizeof *p->tally, err);
  if (p->state == NULL || p->tally == NULL) {
    free(p);
    return NULL;
  }
  f->pipelines[f->pipelines_n++] = p;
  return p;
}

static int add_writer(struct tm_flows *f, struct tm_outlet *o, struct tm_pipeline *p, uint64_t key, struct tm_out *out,
                      struct tm_err *err) {
  if (o->writers_n == TM_PIPELINES_MAX)
    return tm_err_set(err, 3, "writers", "%s is written from more than %d places", o->sink.name, TM_PIPELINES_MAX);
  if (o->writers_n == o->writers_cap) {
    int32_t cap = o->writers_cap == 0 ? 4 : o->writers_cap * 2;
    struct tm_writer *list = realloc(o->writers, (size_t)cap * sizeof *list);
    if (list == NULL) return no_memory(err, "a sink's writers");
    o->writers = list;
    o->writers_cap = cap;
  }
  struct tm_taken *taken = tm_flow_region(f, "taken", key, 0, sizeof *taken, err);
  if (taken == NULL) return -1;
  o->writers[o->writers_n++] = (struct tm_writer){p, out, taken};
  return 0;
}

/* An out in shared memory. Only a new one is initialized: rows a dead worker left wait in it. */
static struct tm_out *make_out(struct tm_flows *f, const char *what, uint64_t key, int32_t soft, const struct tm_sink *sink,
                               struct tm_err *err) {
  struct tm_out *out = tm_flow_region(f, what, key, 0, sizeof *out, err);
  char name[32];
  snprintf(name, sizeof name, "%s-events", what);
  struct tm_out_event *events = tm_flow_region(f, name, key, 0, TM_BATCH_ROWS * sizeof *events, err);
  snprintf(name, sizeof name, "%s-rows", what);
  int32_t cap = 2 * TM_ROW_BYTES_MAX + 4 * TM_SOFT;
  struct tm_buf buf;
  int32_t side = sink->kind == TM_SINK_LINK && sink->format == TM_FORMAT_MSGPACK ? side_size(TM_ROW_BYTES_MAX) : 0;
  if (out == NULL || events == NULL || buffer_region(f, name, key, 0, cap, side, &buf, err) != 0) return NULL;
  if (out->events == NULL) tm_out_init(out, buf.data, cap, soft, f->max_rows, TM_ROW_BYTES_MAX, events);
  return out;
}

static struct tm_flow_count *count_entry(struct tm_flows *f, const struct tm_pipeline *p, const struct tm_sink *s) {
  struct tm_shared *sh = f->shared;
  char name[sizeof sh->flows[0].name];
  snprintf(name, sizeof name, "%s -> %s", p->name, s->name);
  for (int32_t i = 0; i < sh->flows_n; i++)
    if (strcmp(sh->flows[i].name, name) == 0) return &sh->flows[i];
  if (sh->flows_n == TM_SHARED_NAMES) return NULL;
  struct tm_flow_count *c = &sh->flows[sh->flows_n++];
  copy_text(c->name, sizeof c->name, name);
  return c;
}

struct tm_out *tm_flow_add_out(struct tm_flows *f, int32_t pipeline, int32_t sink, int dead, struct tm_err *err) {
  struct tm_pipeline *p = f->pipelines[pipeline];
  struct tm_outlet *o = f->outlets[sink];
  if (p->outs_n == TM_OUTS_MAX) {
    tm_err_set(err, 3, "outs", "pipeline '%s' writes more than %d sinks", p->name, TM_OUTS_MAX);
    return NULL;
  }
  uint64_t key = tm_plan_out_key(p, &o->sink);
  struct tm_out *out = make_out(f, "out", key, TM_SOFT, &o->sink, err);
  if (out == NULL || add_writer(f, o, p, key, out, err) != 0) return NULL;
  out->sink = sink;
  out->format = o->sink.format;
  out->csv = o->csv;
  out->timed = o->sink.kind == TM_SINK_LOG;
  out->columns = o->columns;
  if (!dead) {
    out->tally = p->tally;
    o->dead_only = 0;
  }
  p->outs[p->outs_n] = out;
  p->out_sinks[p->outs_n] = &o->sink;
  p->out_counts[p->outs_n] = o->sink.kind == TM_SINK_LINK ? NULL : count_entry(f, p, &o->sink);
  p->outs_n++;
  return out;
}

/* ---- opening ---- */

static int sink_stat(const struct tm_sink *sink, struct stat *st) {
  return sink->files != NULL ? stat(sink->path, st) : fstat(sink->fd, st);
}

/* Reading and appending to one file would never end; two sinks on one file would tear its rows apart. */
static int check_file(struct tm_flows *f, const struct tm_sink *sink, struct tm_err *err) {
  struct stat a, b;
  if (sink->kind != TM_SINK_FILE && sink->kind != TM_SINK_STDOUT) return 0;
  if (sink_stat(sink, &a) != 0 || !S_ISREG(a.st_mode)) return 0;
  for (int32_t i = 0; i < f->sources_n; i++) {
    struct tm_source *s = f->sources[i];
    int is_stdin = s->kind == TM_SOURCE_STDIN;
    if (s->follow != NULL && tm_follow_has(s->follow, (uint64_t)a.st_dev, (uint64_t)a.st_ino))
      return tm_err_set(err, 3, "file-loop", "%s is both followed and written; write to another file", sink->name);
    for (int32_t k = 0; k < (is_stdin ? 1 : s->paths_n); k++) {
      int rc = is_stdin ? fstat(STDIN_FILENO, &b) : stat(s->paths[k], &b);
      if (rc == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
        return tm_err_set(err, 3, "file-loop", "%s is both read and written; write to another file", is_stdin ? sink->name : s->paths[k]);
    }
  }
  for (int32_t i = 0; i < sink->index; i++) {
    const struct tm_sink *other = &f->outlets[i]->sink;
    if ((other->regular || other->files != NULL) && sink_stat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
      return tm_err_set(err, 3, "file-twice", "%s and %s are one file; call it by one name, so that its rows stay in order", other->name,
                        sink->name);
  }
  return 0;
}

static void link_side(struct tm_outlet *o) {
  if (o->link != NULL && o->sink.format == TM_FORMAT_MSGPACK) side_set(o->link->batch, &o->out->buf, 0, side_size(TM_ROW_BYTES_MAX));
}

/* What a source's patterns and folders lead to: a new worker goes on in the same list. */
static int find_files(struct tm_flows *f, struct tm_source *s, struct tm_err *err) {
  int32_t files = 0;
  char *text = found_files(f, "files", s->key, s->paths, s->paths_n, &files, err);
  if (text == NULL) return -1;
  char **paths = calloc((size_t)files + 1, sizeof *paths);
  if (paths == NULL) return no_memory(err, "paths");
  for (int32_t i = 0; i < files; i++) {
    s->found |= text[0] == TM_PATH_FOUND;
    paths[i] = text + 1;
    text += strlen(text) + 1;
  }
  for (int32_t i = 0; i < s->paths_n; i++) free(s->paths[i]);
  free(s->paths);
  s->paths = paths;
  s->paths_n = files;
  s->paths_shared = 1;
  return 0;
}

/* Who writes the header of a sink of CSV: nobody into a file that had something in it, the first row of one writer, the merge
 * of several; where rows are spread over files, each file gets one there (files.h). */
static void head_plan(struct tm_outlet *o) {
  if (o->csv == NULL || !o->csv->header) return;
  int once = !o->sink.state->appended && o->sink.files == NULL;
  o->csv->header = once && o->writers_n == 1;
  o->headed = once && o->writers_n > 1;
}

static int open_sources(struct tm_flows *f, struct tm_err *err) {
  for (int32_t i = 0; i < f->sources_n; i++)
    if (f->sources[i]->kind == TM_SOURCE_FILE && f->sources[i]->follow_state == NULL && find_files(f, f->sources[i], err) != 0) return -1;
  for (int32_t i = 0; i < f->sources_n; i++)
    if (tm_source_open(f->sources[i], err) != 0) return -1;
  return begin_turns(f, err);
}

int tm_flow_open(struct tm_flows *f, struct tm_err *err) {
  if (!f->is_fed && (tm_plan_check(f, err) != 0 || open_sources(f, err) != 0)) return -1;
  for (int32_t i = 0; i < f->outlets_n; i++) {
    struct tm_outlet *o = f->outlets[i];
    if (o->sink.kind == TM_SINK_DISCARD) continue;
    if (tm_sink_open(&o->sink, err) != 0 || check_file(f, &o->sink, err) != 0) return -1;
    head_plan(o);
    o->soft = TM_SOFT;
    if (o->writers_n == 1) {
      o->out = o->writers[0].out;
      o->out->soft = TM_SOFT;
      link_side(o);
      continue;
    }
    o->soft = TM_SOFT * 4 / o->writers_n;
    if (o->soft < SOFT_MIN) o->soft = SOFT_MIN;
    for (int32_t w = 0; w < o->writers_n; w++) o->writers[w].out->soft = o->soft + o->writers[w].taken->bytes;
    o->out = make_out(f, "merged", o->sink.key, TM_SOFT, &o->sink, err);
    if (o->out == NULL) return -1;
    link_side(o);
  }
  tm_flow_islands(f);
  return f->is_fed ? 0 : tm_plan_kept(f, err);
}

/* ---- the end of a plan, for a process that makes several ---- */

static void source_free(struct tm_source *s) {
  tm_fields_free(s->fields);
  tm_csv_free(s->batch->csv);
  tm_turns_free(s->turns);
  tm_log_source_free(s->log);
  for (int32_t i = 0; i < s->paths_n && !s->paths_shared; i++) free(s->paths[i]);
  free(s->paths);
  free(s);
}

void tm_flow_clear(struct tm_flows *f) {
  for (int32_t i = 0; i < f->sources_n; i++) source_free(f->sources[i]);
  for (int32_t i = 0; i < f->outlets_n; i++) {
    tm_files_free(f->outlets[i]->sink.files);
    tm_log_sink_free(f->outlets[i]->sink.log);
    tm_sqlite_free(f->outlets[i]->sink.sqlite);
    free(f->outlets[i]->sink.path);
    free(f->outlets[i]->writers);
    free(f->outlets[i]);
    f->outlets[i] = NULL;
  }
  for (int32_t i = 0; i < f->pipelines_n; i++) free(f->pipelines[i]);
  memset(f->links, 0, sizeof f->links);
  memset(f->waits, 0, sizeof f->waits);
  memset(f->roots, 0, sizeof f->roots);
  f->sources_n = f->outlets_n = f->pipelines_n = f->lists_n = 0;
}
