/* flow_plan.c - names, keys and definitions of a plan, against those of the process before (flow_plan.h). */
#include "flow_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "../base/buf.h"
#include "../base/log.h"
#include "../codec/csv_write.h"
#include "../codec/format.h"

enum { ENTRIES_MAX = TM_SOURCES_MAX + TM_SINKS_MAX + TM_PIPELINES_MAX };
enum kind { SOURCE = 1, SINK, PIPELINE };
static const char *const kinds[] = {"", "source", "sink", "pipeline"};

struct tm_plan_entry {
  uint64_t key, definition;
  struct tm_out *out;        /* a sink: what it is written from; known when all is open */
  int32_t kind;
  char name[84];
};

struct tm_plan {
  int32_t n;
  struct tm_plan_entry entries[ENTRIES_MAX];
};

/* ---- regions ---- */

static const char *region_name(char to[64], const char *what, uint64_t key, int32_t n) {
  snprintf(to, 64, "%s.%016llx.%d", what, (unsigned long long)key, n);
  return to;
}

void *tm_flow_region(struct tm_flows *f, const char *what, uint64_t key, int32_t n, size_t size, struct tm_err *err) {
  char name[64];
  int found;
  void *p = tm_shared_region(f->shared, region_name(name, what, key, n), size, &found);
  if (p != NULL || err == NULL) return p;
  if (tm_shared_find(f->shared, name, 0) != NULL)
    tm_err_set(err, 6, "state-changed", "the run that is kept has less memory for '%s' than is needed now: --max-event, a format or an option has changed. Put "
                               "that back, or start anew with --reset", what);
  else
    tm_err_set(err, 1, "memory", "no memory for %s", what);
  return NULL;
}

void *tm_flow_region_found(struct tm_flows *f, const char *what, uint64_t key, size_t size) {
  char name[64];
  return tm_shared_find(f->shared, region_name(name, what, key, 0), size);
}

/* ---- keys ---- */

static uint64_t hash(const void *bytes, size_t n, uint64_t seed) { return XXH3_64bits_withSeed(bytes, n, seed); }
static uint64_t hash_text(uint64_t h, const char *text) { return hash(text, strlen(text) + 1, h); }
static uint64_t hash_number(uint64_t h, uint64_t number) { return hash(&number, sizeof number, h); }

/* Where several have one name, the second's is the next number, and so on. */
#define KEY(list, n, kind, named) \
  uint64_t key = hash_text(kind, named); \
  for (int32_t i = 0; i < (n); i++) { if ((list) == key) { key++; i = -1; } } \
  return key

uint64_t tm_plan_source_key(const struct tm_flows *f, const struct tm_source *s) { KEY(f->sources[i]->key, f->sources_n, SOURCE, s->name); }
uint64_t tm_plan_sink_key(const struct tm_flows *f, const struct tm_sink *s) { KEY(f->outlets[i]->sink.key, f->outlets_n, SINK, s->name); }
uint64_t tm_plan_pipeline_key(const struct tm_flows *f, const struct tm_pipeline *p) {
  KEY(f->pipelines[i]->key, f->pipelines_n, PIPELINE, p->name);
}

uint64_t tm_plan_out_key(const struct tm_pipeline *p, const struct tm_sink *s) {
  uint64_t same = 0;
  for (int32_t i = 0; i < p->outs_n; i++) same += p->out_sinks[i] == s;
  return hash_number(hash_number(p->key, s->key), same);
}

uint64_t tm_plan_paths(const char **paths, int32_t n) {
  uint64_t h = (uint64_t)n;
  for (int32_t i = 0; i < n; i++) h = hash_text(h, paths[i]);
  return h;
}

/* ---- definitions ---- */

static uint64_t hash_names(uint64_t h, const struct tm_csv_names *names) {
  for (int32_t i = 0; names != NULL && i < names->n; i++) {
    int32_t len;
    const char *name = tm_csv_name(names, i, &len);
    h = hash(name, (size_t)len, h + 1);
  }
  return h;
}

static uint64_t source_definition(const struct tm_source *s) {
  const struct tm_csv *csv = s->batch->csv;
  uint64_t h = hash_number((uint64_t)s->kind, (uint64_t)(tm_format_of(s->batch) - tm_formats));
  for (int32_t i = 0; i < s->paths_n; i++) h = hash_text(h, s->paths[i]);
  if (csv == NULL) return h;
  h = hash_names(hash_number(h, (uint64_t)(csv->delimiter + 256 * csv->header)), csv->given);
  return csv->record == NULL ? h : hash_number(hash_text(h, csv->record->text), (uint64_t)csv->record->lines_max);
}

static uint64_t sink_definition(const struct tm_outlet *o) {
  uint64_t h = hash_text(hash_number((uint64_t)o->sink.kind, (uint64_t)o->sink.format), o->sink.path);
  if (o->csv == NULL) return h;
  return hash_names(hash_number(h, (uint64_t)(o->csv->delimiter + 256 * o->csv->crlf)), o->csv->given ? o->csv->names : NULL);
}

static uint64_t pipeline_definition(const struct tm_pipeline *p) {
  uint64_t h = p->source->key;
  for (int32_t i = 0; i < p->outs_n; i++) h = hash_number(hash_number(h, p->out_sinks[i]->key), p->outs[i]->tally != NULL);
  return h;
}

/* ---- the plan at hand ---- */

static void add(struct tm_plan *p, enum kind kind, uint64_t key, const char *name, uint64_t definition) {
  struct tm_plan_entry *e = &p->entries[p->n++];
  e->kind = (int32_t)kind;
  e->key = key;
  e->definition = definition;
  snprintf(e->name, sizeof e->name, "%.*s", (int)sizeof e->name - 1, name);
}

/* Links are named after pipelines, and hold nothing between two batches. */
static struct tm_plan *at_hand(const struct tm_flows *f) {
  struct tm_plan *p = calloc(1, sizeof *p);
  if (p == NULL) return NULL;
  for (int32_t i = 0; i < f->sources_n; i++) {
    const struct tm_source *s = f->sources[i];
    if (s->kind != TM_SOURCE_LINK) add(p, SOURCE, s->key, s->name, source_definition(s));
  }
  for (int32_t i = 0; i < f->outlets_n; i++) {
    const struct tm_outlet *o = f->outlets[i];
    if (o->sink.kind != TM_SINK_LINK) add(p, SINK, o->sink.key, o->sink.name, sink_definition(o));
  }
  for (int32_t i = 0; i < f->pipelines_n; i++) add(p, PIPELINE, f->pipelines[i]->key, f->pipelines[i]->name, pipeline_definition(f->pipelines[i]));
  return p;
}

/* ---- against what was kept ---- */

static struct tm_plan_entry *same_in(struct tm_plan *p, const struct tm_plan_entry *e) {
  for (int32_t i = 0; i < p->n; i++)
    if (p->entries[i].kind == e->kind && p->entries[i].key == e->key) return &p->entries[i];
  return NULL;
}

static int check_gone(const struct tm_flows *f, const struct tm_plan_entry *e, struct tm_err *err) {
  if (e->kind == SINK && !f->shared->stopped && !f->replanned)
    return tm_err_set(err, 6, "state-changed", "nothing writes the sink '%s' any more, but the run that is kept did not stop in order, so what was written "
                                      "there behind the last epoch must be cut off first. Run the scripts as they were and stop that by TERM, or start "
                                      "anew with --reset", e->name);
  if (e->kind == SINK && e->out != NULL && e->out->buf.len > 0)
    return tm_err_set(err, 6, "state-changed", "nothing writes the sink '%s' any more, but it has not taken all rows that were made for it: %d bytes wait. Run the "
                                      "scripts as they were until it has, or start anew with --reset", e->name, (int)e->out->buf.len);
  tm_log_warning("what the %s '%s' had is kept, but it is not in the scripts any more", kinds[e->kind], e->name);
  return 0;
}

static int check_here(struct tm_plan *kept, const struct tm_plan_entry *e, struct tm_err *err) {
  const struct tm_plan_entry *was = same_in(kept, e);
  if (was == NULL) tm_log_warning("the %s '%s' is new: it begins with what is read from here on", kinds[e->kind], e->name);
  if (was == NULL || e->kind == PIPELINE || was->definition == e->definition) return 0;
  return tm_err_set(err, 6, "state-changed", "the %s '%s' is not the one that is kept: other files, or another format. Give it another name to "
                                    "begin with it anew, put it back as it was, or start anew with --reset", kinds[e->kind], e->name);
}

static int check_kept(struct tm_flows *f, struct tm_plan *kept, struct tm_err *err) {
  for (int32_t i = 0; i < f->plan->n; i++)
    if (check_here(kept, &f->plan->entries[i], err) != 0) return -1;
  for (int32_t i = 0; i < kept->n; i++)
    if (same_in(f->plan, &kept->entries[i]) == NULL && check_gone(f, &kept->entries[i], err) != 0) return -1;
  return 0;
}

static struct tm_plan *kept_of(struct tm_flows *f, struct tm_err *err) {
  return tm_flow_region(f, "plan", 0, 0, sizeof(struct tm_plan), err);
}

int tm_plan_check(struct tm_flows *f, struct tm_err *err) {
  struct tm_plan *kept = kept_of(f, err);
  if (kept == NULL) return -1;
  free(f->plan);
  f->plan = at_hand(f);
  if (f->plan == NULL) return tm_err_set(err, 1, "memory", "no memory for a plan");
  uint64_t now = hash(f->plan->entries, (size_t)f->plan->n * sizeof f->plan->entries[0], 1);
  if (f->shared->plan != 0 && f->shared->plan != now && !f->replanned)
    return tm_err_set(err, 3, "plan", "the scripts have changed since the run began: other sources, sinks or pipelines. A new worker "
                                      "cannot go on with what the last one had read; start the run again");
  f->shared->plan = now;
  return (f->restored || f->replanned) && kept->n > 0 ? check_kept(f, kept, err) : 0;
}

/* Rows that were made for a sink move to where it is written from now: one writer's out, or where those of several are merged. */
static void move_rows(const struct tm_outlet *o, struct tm_out *was) {
  if (was == NULL || o->out == NULL || was == o->out || was->buf.len == 0) return;
  TM_ASSERT(o->out->buf.len == 0);
  int rc = tm_buf_put(&o->out->buf, was->buf.data, was->buf.len);
  TM_ASSERT(rc == 0);
  tm_flow_out_clear(was);
}

int tm_plan_kept(struct tm_flows *f, struct tm_err *err) {
  struct tm_plan *kept = kept_of(f, err);
  if (kept == NULL) return -1;
  int32_t e = 0;
  for (int32_t i = 0; i < f->outlets_n; i++) {
    const struct tm_outlet *o = f->outlets[i];
    if (o->sink.kind == TM_SINK_LINK) continue;
    while (f->plan->entries[e].kind != SINK) e++;
    const struct tm_plan_entry *was = same_in(kept, &f->plan->entries[e]);
    if (was != NULL && (f->restored || f->replanned)) move_rows(o, was->out);
    f->plan->entries[e++].out = o->out;
  }
  memcpy(kept, f->plan, sizeof *kept);
  free(f->plan);
  f->plan = NULL;
  return 0;
}

void tm_plan_keep(struct tm_flows *f, struct tm_keeper *k) {
  const struct tm_plan *p = tm_flow_region_found(f, "plan", 0, sizeof *p);
  if (p != NULL) tm_keep(k, p, offsetof(struct tm_plan, entries) + (size_t)p->n * sizeof p->entries[0]);
}

const char *tm_plan_place(struct tm_shared *s, int32_t i, int *is_sink, uint64_t *key) {
  char name[64];
  const struct tm_plan *p = tm_shared_find(s, region_name(name, "plan", 0, 0), sizeof *p);
  if (p == NULL || i < 0 || i >= p->n || i >= ENTRIES_MAX) return NULL;
  const struct tm_plan_entry *e = &p->entries[i];
  *is_sink = e->kind == SINK;
  *key = e->key;
  return e->kind == PIPELINE ? "" : e->name;
}
