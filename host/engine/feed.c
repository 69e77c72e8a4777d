/* feed.c - a ring of batches between a worker and a candidate (feed.h).
 *
 * Places count bytes since the beginning and never go back; `place % TM_FEED_BYTES` is where they lie. An entry lies in one piece: where the
 * rest of the ring is too short for it, a header that says so fills that rest. Each side stores its own place last, with release. */
#include "feed.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../base/err.h"
#include "../codec/csv.h"
#include "../io/turns.h"
#include "flow.h"

enum { ALIGN = 16 };

struct tm_feed {
  uint64_t written;          /* the writer's */
  uint64_t taken;            /* the reader's */
  double given, done;        /* entries */
  double events;
  double missed_events, missed_batches;
  _Alignas(ALIGN) char ring[TM_FEED_BYTES];
};

/* The one of this process that notes. */
static struct {
  struct tm_feed *feed;
  struct tm_flows *flows;
  char *notes;
  int32_t notes_n, cap;
  uint64_t unnoted;
  int on, missing;           /* missing: entries are left out until half of the ring is free */
  double events, batches;    /* left out since the last entry */
  double told[TM_SOURCES_MAX];   /* by source: the serial of the columns that the candidate has */
  double told_over[TM_SOURCES_MAX];  /* how many of its files had ended */
  struct tm_source_seen idle[TM_SOURCES_MAX];  /* inputs when they were last found silent */
  int32_t idle_n;
  char *text;                /* of columns */
} self;

struct tm_feed *tm_feed_new(void) {
  void *p = mmap(NULL, sizeof(struct tm_feed), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p != MAP_FAILED ? p : NULL;
}

void tm_feed_free(struct tm_feed *f) {
  if (f != NULL) munmap(f, sizeof *f);
}

void tm_feed_clear(struct tm_feed *f) {
  if (madvise(f, sizeof *f, MADV_REMOVE) != 0) memset(f, 0, offsetof(struct tm_feed, ring));
}

static size_t aligned(size_t n) { return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1); }

/* ---- noting ---- */

int tm_feed_begin(struct tm_feed *f, struct tm_flows *flows) {
  if (self.notes == NULL) self.notes = malloc(TM_FEED_NOTES);
  if (self.notes == NULL) return -1;
  self.cap = TM_FEED_NOTES;
  self.feed = f;
  self.flows = flows;
  self.notes_n = 0;
  self.unnoted = 0;
  self.on = 1;
  self.missing = 0;
  self.events = self.batches = 0;
  for (int i = 0; i < TM_SOURCES_MAX; i++) self.told[i] = self.told_over[i] = -1;
  flows->shared->flow.watched = 1;
  return 0;
}

void tm_feed_end(struct tm_flows *flows) {
  self.on = 0;
  flows->shared->flow.watched = 0;
}

int tm_feed_is_on(void) { return self.on; }

void tm_ffi_decided(int32_t step, int32_t rank, double score, double amount, const int32_t *entries, int32_t n) {
  if (!self.on) return;
  const struct tm_marker *m = &self.flows->shared->flow.marker;
  int32_t row = m->row < -1 ? m->row - TM_AFTER : m->row, listed = 0;
  if (m->pipeline < 0 || m->pipeline >= self.flows->pipelines_n) return;
  const struct tm_source *s = self.flows->pipelines[m->pipeline]->source;
  const struct tm_source *root = s->kind == TM_SOURCE_LINK ? tm_flow_root(self.flows, s) : s;
  size_t most = (size_t)(n < TM_DECIDED_RULES ? n : TM_DECIDED_RULES);
  size_t size = sizeof(struct tm_decided) + (most + 1) / 2 * sizeof(double);
  if (root == NULL || row < 0 || row >= TM_BATCH_ROWS) return;
  if (size > (size_t)(self.cap - self.notes_n)) {
    self.unnoted++;
    return;
  }
  struct tm_decided *d = (struct tm_decided *)(void *)(self.notes + self.notes_n);
  int32_t *rules = (int32_t *)(void *)(d + 1);
  int32_t matched = 0;
  for (int32_t i = 0; i < n; i++) {
    if (entries[i] & 1) continue;
    if (listed < TM_DECIDED_RULES) rules[listed++] = entries[i] >> 1;
    matched++;
  }
  *d = (struct tm_decided){.score = score, .amount = amount, .root = root->index, .step = step, .slot = s->batch->origin[row], .rank = rank,
                           .rules_n = listed, .matched = matched};
  self.notes_n += (int32_t)(sizeof *d + (size_t)((listed + 1) / 2) * sizeof(double));
}

static int32_t note_size(const struct tm_decided *d) { return (int32_t)(sizeof *d + (size_t)((d->rules_n + 1) / 2) * sizeof(double)); }

/* Notes of that source come to the front, in order; how many bytes. Usually all are. */
static int32_t gather(int32_t root) {
  int32_t n = 0;
  for (int32_t at = 0; at < self.notes_n;) {
    const struct tm_decided *d = (const struct tm_decided *)(const void *)(self.notes + at);
    int32_t size = note_size(d);
    if (d->root == root && n == at) n += size;
    else if (d->root == root) {
      char copy[sizeof *d + TM_DECIDED_RULES * sizeof(int32_t)];
      memcpy(copy, d, (size_t)size);
      memmove(self.notes + n + size, self.notes + n, (size_t)(at - n));
      memcpy(self.notes + n, copy, (size_t)size);
      n += size;
    }
    at += size;
  }
  return n;
}

static void forget(int32_t bytes) {
  memmove(self.notes, self.notes + bytes, (size_t)(self.notes_n - bytes));
  self.notes_n -= bytes;
  self.unnoted = 0;
}

const char *tm_feed_notes(int32_t root, int32_t *bytes, uint64_t *unnoted) {
  static char *copy;
  *bytes = gather(root);
  *unnoted = self.unnoted;
  if (copy == NULL) copy = malloc(TM_FEED_NOTES);
  if (copy == NULL) *bytes = 0;
  else memcpy(copy, self.notes, (size_t)*bytes);
  forget(*bytes);
  return copy;
}

/* ---- writing ---- */

/* A place for an entry of so many bytes, in one piece; NULL: there is no room. */
static char *place(struct tm_feed *f, size_t size, uint64_t *at) {
  uint64_t taken = __atomic_load_n(&f->taken, __ATOMIC_ACQUIRE), written = f->written;
  size_t rest = TM_FEED_BYTES - written % TM_FEED_BYTES, skip = rest < size ? rest : 0;
  if (self.missing && written - taken > TM_FEED_BYTES / 2) return NULL;
  if (written - taken + skip + size > TM_FEED_BYTES) return NULL;
  if (skip >= sizeof(struct tm_feed_entry)) {
    struct tm_feed_entry *e = (struct tm_feed_entry *)(void *)(f->ring + written % TM_FEED_BYTES);
    e->size = skip;
    e->kind = TM_FEED_TO_START;
  }
  *at = written + skip;
  return f->ring + *at % TM_FEED_BYTES;
}

static void publish(struct tm_feed *f, uint64_t upto) {
  f->given += 1;
  __atomic_store_n(&f->written, upto, __ATOMIC_RELEASE);
}

static void leave_out(double events) {
  struct tm_feed *f = self.feed;
  self.missing = 1;
  self.events += events;
  self.batches += 1;
  f->missed_events += events;
  f->missed_batches += 1;
}

/* header: of the entry, but for its size and what was left out; 1 it is in the ring. */
static int put(const struct tm_feed_entry *header, const struct tm_source_seen *inputs, const char *notes, const char *text, double events) {
  struct tm_feed *f = self.feed;
  size_t inputs_size = (size_t)header->inputs_n * sizeof *inputs;
  size_t size = aligned(sizeof *header + inputs_size + (size_t)header->notes_bytes + (size_t)header->text_n);
  uint64_t at;
  char *to = place(f, size, &at);
  if (to == NULL && (header->kind == TM_FEED_BATCH || header->kind == TM_FEED_IDLE)) leave_out(events);
  if (to == NULL) return 0;
  struct tm_feed_entry *e = (struct tm_feed_entry *)(void *)to;
  *e = *header;
  e->size = size;
  e->missed_events = (uint64_t)self.events;
  e->missed_batches = (uint64_t)self.batches;
  to += sizeof *e;
  if (inputs_size > 0) memcpy(to, inputs, inputs_size);
  if (header->notes_bytes > 0) memcpy(to + inputs_size, notes, (size_t)header->notes_bytes);
  if (header->text_n > 0) memcpy(to + inputs_size + (size_t)header->notes_bytes, text, (size_t)header->text_n);
  self.missing = 0;
  self.events = self.batches = 0;
  f->events += events;
  publish(f, at + size);
  return 1;
}

/* The columns of CSV, when they have changed: { n, ends, text } as one text. 1 the candidate has them. */
static int put_columns(const struct tm_source *s) {
  const struct tm_csv *csv = s->batch->csv;
  if (csv == NULL || csv->given != NULL || self.told[s->index] == csv->serial + 1) return 1;
  const struct tm_csv_names *names = csv->shared;
  size_t ends = (size_t)names->n * sizeof names->ends[0], text = names->n > 0 ? (size_t)names->ends[names->n - 1] : 0;
  if (self.text == NULL) self.text = malloc(sizeof names->ends + sizeof names->text);
  if (self.text == NULL) return 0;
  memcpy(self.text, names->ends, ends);
  memcpy(self.text + ends, names->text, text);
  struct tm_feed_entry e = {.kind = TM_FEED_COLUMNS, .key = s->key, .format = s->batch->format, .rows = names->n, .text_n = (int32_t)(ends + text)};
  if (!put(&e, NULL, NULL, self.text, 0)) return 0;
  self.told[s->index] = csv->serial + 1;
  return 1;
}

/* What decoding the batch again looks at. Lines of JSON end where the batch does; in other formats what stands behind may decide. */
static int32_t text_of(const struct tm_source *s, struct tm_feed_entry *e) {
  int32_t seen = s->state->batch_long ? s->state->batch_len : s->state->batch_seen;
  if (e->format != TM_FORMAT_JSON || s->state->batch_long || s->state->batch_len > seen) return seen;
  e->state.batch_seen = s->state->batch_len;
  e->state.batch_final = 1;
  return s->state->batch_len;
}

static int32_t see(const struct tm_flows *flows, struct tm_source_seen *to) {
  int32_t n = 0;
  for (int32_t i = 0; i < flows->sources_n; i++) {
    const struct tm_source *q = flows->sources[i];
    if (q->kind == TM_SOURCE_LINK) continue;
    to[n++] = (struct tm_source_seen){.key = q->key, .part = tm_source_part(q), .over = tm_source_parts_over(q), .file = q->state->file,
        .live = (q->live && !q->paced) || q->follow != NULL, .unbegun = {tm_source_unbegun(q, 0), tm_source_unbegun(q, 1)}, .done = q->state->done,
        .quiet_ms = q->follow != NULL ? 0 : q->quiet_ms > 0 ? q->quiet_ms : -1};
  }
  return n;
}

void tm_feed_idle(const struct tm_flows *flows) {
  if (self.on) self.idle_n = see(flows, self.idle);
}

/* Which of its files have ended, when that has changed. 1 the candidate knows. */
static int put_over(const struct tm_source *s) {
  double over = tm_source_parts_over(s);
  if (s->turns == NULL || !s->turns_of_files || self.told_over[s->index] == over) return 1;
  char *text = malloc((size_t)s->paths_n + 1);
  if (text == NULL) return 0;
  for (int32_t i = 0; i < s->paths_n; i++) text[i] = (char)tm_source_part_over(s, i);
  struct tm_feed_entry e = {.kind = TM_FEED_OVER, .key = s->key, .text_n = s->paths_n};
  int in = put(&e, NULL, NULL, text, 0);
  free(text);
  if (in) self.told_over[s->index] = over;
  return in;
}

void tm_feed_batch(struct tm_flows *flows, const struct tm_source *s, double idle_ms) {
  static struct tm_source_seen inputs[TM_SOURCES_MAX];
  if (!self.on || self.feed == NULL) return;
  const struct tm_batch *b = s->batch;
  const struct tm_source_state *st = s->state;
  int32_t notes = gather(s->index), idle = st->settling;
  struct tm_feed_entry e = {.kind = idle ? TM_FEED_IDLE : TM_FEED_BATCH, .key = s->key, .format = b->format, .now_ms = idle ? idle_ms : b->received_ms,
                            .unnoted = self.unnoted, .notes_bytes = notes, .rows = b->rows};
  double events = idle ? 0 : b->rows - b->bad;
  e.inputs_n = idle ? self.idle_n : see(flows, inputs);
  if (!idle) {
    e.state = *st;
    e.text_n = text_of(s, &e);
    memcpy(e.origin, tm_source_origin(s), strnlen(tm_source_origin(s), sizeof e.origin - 1));
  }
  if (idle || (put_columns(s) && put_over(s))) put(&e, idle ? self.idle : inputs, self.notes, s->buf.data + st->batch_off, events);
  else leave_out(events);
  forget(notes);
}

/* ---- reading ---- */

const struct tm_feed_entry *tm_feed_next(struct tm_feed *f) {
  for (;;) {
    uint64_t written = __atomic_load_n(&f->written, __ATOMIC_ACQUIRE);
    if (f->taken == written) return NULL;
    size_t at = f->taken % TM_FEED_BYTES, rest = TM_FEED_BYTES - at;
    const struct tm_feed_entry *e = (const struct tm_feed_entry *)(const void *)(f->ring + at);
    if (rest >= sizeof *e && e->kind != TM_FEED_TO_START) return e;
    __atomic_store_n(&f->taken, f->taken + rest, __ATOMIC_RELEASE);
  }
}

void tm_feed_taken(struct tm_feed *f, const struct tm_feed_entry *e) {
  f->done += 1;
  __atomic_store_n(&f->taken, f->taken + e->size, __ATOMIC_RELEASE);
}

void tm_feed_count(const struct tm_feed *f, struct tm_feed_counts *c) {
  uint64_t taken = __atomic_load_n(&f->taken, __ATOMIC_ACQUIRE), written = __atomic_load_n(&f->written, __ATOMIC_ACQUIRE);
  *c = (struct tm_feed_counts){.bytes = (double)(written - taken), .given = f->given, .taken = f->done, .events = f->events,
                               .missed_events = f->missed_events, .missed_batches = f->missed_batches};
}
