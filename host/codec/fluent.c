/* fluent.c - messages of Fluent Bit to batches of msgpack (fluent.h).
 *
 * One step at a time: a message's head, an event, or what is passed over. A step is taken when all of it is there, or when the
 * input has ended; which one it is depends on the bytes alone, never on how many came at once. What an event becomes is written to
 * `room` and read there by the scanner of msgpack, so that a cell lies in `room` and a bad row in the text. */
#include "fluent.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/err.h"
#include "json.h"
#include "msgpack_codec.h"
#include "msgpack_scanner.h"

enum {
  ROOM_FULL = 1 << 20,       /* bytes of a batch, unless one event is larger */
  EVENT_BYTES = (1 << 26),   /* so that a cell's 27 bits tell every length, names and times included */
  SAMPLE = 1024,             /* bytes kept of an event that is too long */
  HEAD = 5,                  /* of a map or text at most */
  TIME = 15                  /* a timestamp */
};

/* Why a row is no event; NONE: it is one, or the fault is in the record. */
enum why { WHY_NONE, WHY_SHAPE, WHY_TIME, WHY_RECORD, WHY_CLASH, WHY_TAG, WHY_TAG_UTF8, WHY_PARTS, WHY_PACKED, WHY_BIN, WHY_C1, WHY_ENDS };

/* The name of a field that is added, as msgpack. */
struct key {
  char text[HEAD + TM_FLUENT_KEY];
  int32_t head, len;         /* len of both together; 0: not asked for */
};

struct tm_fluent {
  struct tm_fluent_at at;
  char *room;
  int32_t size;
  struct key time, tag;
  uint8_t why[TM_BATCH_ROWS];
};

/* One batch being made. */
struct making {
  struct tm_batch *b;
  struct tm_fluent *f;
  struct tm_msgpack_reader r;
  tm_msgpack_scanner *scan;
  const char *end;           /* of the text */
  int final;
  int32_t max_event;
  int32_t used;              /* of room */
  int32_t cleared;           /* rows made absent */
  int full;
  struct tm_cut *cut;
};

/* An event's parts. */
struct parts {
  const char *record, *end;
  int64_t seconds;
  uint32_t ns;
  int mark;                  /* of a group, no event */
  const char *tag;
  int32_t tag_len;
};

/* ---- made and set ---- */

/* A text of up to 255 bytes; returns its end. */
static char *text_put(char *to, const char *s, int32_t n) {
  if (n >= 32) *to++ = (char)0xd9;
  *to++ = (char)(n < 32 ? 0xa0 | n : n);
  memcpy(to, s, (size_t)n);
  return to + n;
}

static int key_set(struct key *k, struct tm_fields *fields, const char *name) {
  int32_t n = (int32_t)strlen(name);
  TM_ASSERT(n <= TM_FLUENT_KEY);
  k->len = (int32_t)(text_put(k->text, name, n) - k->text);
  k->head = k->len - n;
  return tm_ffi_fields_add(fields, 0, name, n) >= 0;
}

struct tm_fluent *tm_fluent_new(struct tm_fields *fields, const struct tm_fluent_options *options, char *room, int32_t size) {
  struct tm_fluent *f = calloc(1, sizeof *f);
  if (f == NULL) return NULL;
  f->room = room;
  f->size = size;
  /* read of every event, so that the scanner tells when a record has one of its own */
  if (key_set(&f->time, fields, options->time_key) && (options->tag_key == NULL || key_set(&f->tag, fields, options->tag_key))) return f;
  free(f);
  return NULL;
}

void tm_fluent_free(struct tm_fluent *f) { free(f); }
void tm_fluent_set(struct tm_batch *b, const struct tm_fluent_at *at) { b->fluent->at = *at; }
void tm_fluent_get(const struct tm_batch *b, struct tm_fluent_at *at) { *at = b->fluent->at; }

/* ---- an event's parts ---- */

static const char *head_at(const char *p, struct tm_msgpack_head *h) {
  tm_msgpack_head_read(p, INT64_MAX, h);
  return p + h->len;
}

static int float_time(double v, struct parts *x) {
  if (!(fabs(v) < 0x1p62)) return 0;
  double whole = floor(v), ns = rint((v - whole) * 1e9);
  x->seconds = (int64_t)whole + (ns >= 1e9);
  x->ns = ns >= 1e9 ? 0 : (uint32_t)ns;
  return 1;
}

/* The time at p, a whole value. */
static int time_read(const char *p, struct parts *x) {
  struct tm_msgpack_head h;
  const char *s = head_at(p, &h);
  int negative;
  x->ns = 0;
  x->mark = 0;
  if (h.type == TM_MSGPACK_INT) {
    uint64_t v = tm_msgpack_int_read(p, &negative);
    x->seconds = (int64_t)v;
    return negative || v <= INT64_MAX;
  }
  if (h.type == TM_MSGPACK_FLOAT) return float_time(tm_msgpack_float_read(p), x);
  if (h.type != TM_MSGPACK_EXT) return 0;
  if (s[-1] == (char)TM_EXT_TIMESTAMP) return tm_msgpack_time_read(s, h.count, &x->seconds, &x->ns);
  if (s[-1] != 0 || h.count != 8) return 0;
  x->seconds = tm_msgpack_get32(s);
  x->ns = tm_msgpack_get32(s + 4);
  x->mark = x->seconds >= UINT32_MAX - 1;   /* -1 and -2 in 32 bits */
  return x->ns < 1000000000;
}

/* The parts of the value p..end. */
static enum why parts_read(const struct tm_fluent_at *at, const char *p, const char *end, struct parts *x) {
  struct tm_msgpack_head h, first;
  const char *q = head_at(p, &h);
  if (h.type != TM_MSGPACK_ARRAY || h.count < 2) return WHY_SHAPE;
  const char *s = head_at(q, &first);
  x->tag = at->tag;
  x->tag_len = at->tag_len;
  if (first.type == TM_MSGPACK_STR) {
    if (at->in != TM_FLUENT_FRONT) return WHY_SHAPE;
    if (first.count > TM_FLUENT_TAG) return WHY_TAG;
    if (!tm_msgpack_utf8(s, first.count)) return WHY_TAG_UTF8;
    if (h.count != 3 && h.count != 4) return WHY_PARTS;
    x->tag = s;
    x->tag_len = (int32_t)first.count;
    q = s + first.count;
    if (!time_read(q, x)) return WHY_TIME;
  } else {
    if (h.count != 2) return WHY_SHAPE;
    if (first.type == TM_MSGPACK_ARRAY && first.count == 0) return WHY_TIME;
    if (!time_read(first.type == TM_MSGPACK_ARRAY ? s : q, x)) return WHY_TIME;
  }
  x->record = tm_msgpack_pass(q);
  x->end = h.count == 4 ? tm_msgpack_pass(x->record) : end;
  return tm_msgpack_leads[(unsigned char)*x->record].type == TM_MSGPACK_MAP ? WHY_NONE : WHY_RECORD;
}

/* ---- rows ---- */

static void row_add(struct making *m, const char *p, const char *line, const char *end, int32_t status, enum why why) {
  int32_t row = m->b->rows;
  tm_msgpack_row_add(m->b, p, end, status);
  m->b->line[row] = (int32_t)(line - m->b->raw);
  m->f->why[row] = (uint8_t)why;
}

static void bad_row(struct making *m, const char *p, const char *end, int32_t status, enum why why) {
  tm_msgpack_rows_clear(m->b->fields, m->b->rows, m->b->rows + 1);
  row_add(m, p, p, end, status, why);
}

/* The input makes no sense from `at` on, and nothing tells where it does again. */
static void broken(struct making *m, const char *at, const char *why) {
  m->cut->broken = why;
  m->cut->broken_at = (int32_t)(at - m->b->raw);
  m->f->at = (struct tm_fluent_at){0};
}

static char *map_put(char *to, uint64_t pairs) {
  uint16_t few = __builtin_bswap16((uint16_t)pairs);
  uint32_t many = __builtin_bswap32((uint32_t)pairs);
  if (pairs < 16) {
    *to = (char)(0x80 | pairs);
    return to + 1;
  }
  *to = (char)(pairs <= UINT16_MAX ? 0xde : 0xdf);
  if (pairs <= UINT16_MAX) memcpy(to + 1, &few, 2);
  else memcpy(to + 1, &many, 4);
  return to + (pairs <= UINT16_MAX ? 3 : 5);
}

/* A timestamp in its shortest form. */
static char *time_put(char *to, int64_t seconds, uint32_t ns) {
  uint32_t n = __builtin_bswap32(ns == 0 ? (uint32_t)seconds : ns);
  uint64_t v = __builtin_bswap64((uint64_t)seconds | (seconds >> 34 == 0 ? (uint64_t)ns << 34 : 0));
  to[1] = (char)TM_EXT_TIMESTAMP;
  if (ns == 0 && seconds >> 32 == 0) {
    to[0] = (char)0xd6;
    memcpy(to + 2, &n, 4);
    return to + 6;
  }
  if (seconds >> 34 == 0) {
    to[0] = (char)0xd7;
    memcpy(to + 2, &v, 8);
    return to + 10;
  }
  n = __builtin_bswap32(ns);
  to[0] = (char)0xc7;
  to[1] = 12;
  to[2] = (char)TM_EXT_TIMESTAMP;
  memcpy(to + 3, &n, 4);
  memcpy(to + 7, &v, 8);
  return to + TIME;
}

/* Writes the event to room; returns its end. */
static char *event_put(const struct tm_fluent *f, char *to, const struct parts *x) {
  struct tm_msgpack_head h;
  const char *members = head_at(x->record, &h);
  int tagged = f->tag.len > 0 && x->tag_len > 0;
  to = map_put(to, (uint64_t)h.count + 1 + (uint64_t)tagged);
  memcpy(to, f->time.text, (size_t)f->time.len);
  to = time_put(to + f->time.len, x->seconds, x->ns);
  if (tagged) {
    memcpy(to, f->tag.text, (size_t)f->tag.len);
    to = text_put(to + f->tag.len, x->tag, x->tag_len);
  }
  memcpy(to, members, (size_t)(x->end - members));
  return to + (x->end - members);
}

/* Has the record a field that is added to it? Asked when the scanner met some field twice. */
static int clashes(const struct tm_fluent *f, const char *record) {
  struct tm_msgpack_head h, key;
  const char *p = head_at(record, &h);
  for (uint32_t i = 0; i < h.count; i++) {
    const char *name = head_at(p, &key);
    for (int which = 0; which < 2; which++) {
      const struct key *own = which == 0 ? &f->time : &f->tag;
      if (own->len > 0 && (int64_t)key.count == own->len - own->head && memcmp(name, own->text + own->head, key.count) == 0) return 1;
    }
    p = tm_msgpack_pass(name + key.count);
  }
  return 0;
}

/* ---- steps ---- */

/* The whole value at p is an event, a mark, or neither: 1, or 0 for it there is no room in this batch. */
static int event(struct making *m, const char *p, const char *end, enum why refused) {
  struct tm_batch *b = m->b;
  struct tm_fluent *f = m->f;
  struct parts x;
  enum why why = refused != WHY_NONE ? refused : parts_read(&f->at, p, end, &x);
  if (why != WHY_NONE) {
    bad_row(m, p, end, why == WHY_SHAPE || why == WHY_RECORD ? TM_LINE_NOT_OBJECT : TM_LINE_SYNTAX, why);
    return 1;
  }
  if (x.mark) return 1;
  int64_t most = x.end - x.record + 2 * HEAD + TIME + f->time.len + f->tag.len + TM_FLUENT_TAG;
  if (b->rows > 0 && m->used + most > ROOM_FULL) return 0;
  TM_ASSERT(m->used + most <= f->size);
  if (b->rows >= m->cleared) m->cleared = tm_msgpack_rows_ready(b);
  char *made = f->room + m->used, *made_end = event_put(f, made, &x);
  m->r.row = b->rows;
  m->r.twice = 0;
  m->r.fault = TM_MSGPACK_FINE;
  m->r.end = made_end;
  const char *done = m->scan(&m->r, made);
  if (done == NULL) {
    bad_row(m, p, end, tm_msgpack_status(m->r.fault), WHY_NONE);
  } else if (m->r.twice && clashes(f, x.record)) {
    bad_row(m, p, end, TM_LINE_SYNTAX, WHY_CLASH);
  } else {
    row_add(m, made, p, made_end, TM_LINE_OK, WHY_NONE);
    b->twice[m->r.row] = (uint8_t)m->r.twice;
    m->used += (int32_t)(made_end - made);
  }
  return 1;
}

/* Bytes that the events at hand may take at most. */
static const char *limit_of(const struct making *m, const char *p) {
  const struct tm_fluent_at *at = &m->f->at;
  return at->in == TM_FLUENT_PACKED && at->left < (uint64_t)(m->end - p) ? p + at->left : m->end;
}

/* One of the events is passed, or n bytes of them. */
static void took(struct making *m, uint64_t n) {
  struct tm_fluent_at *at = &m->f->at;
  if (at->in == TM_FLUENT_ENTRIES) at->left--;
  if (at->in == TM_FLUENT_PACKED) at->left -= n;
}

static const char *more(struct making *m, const char *p, uint64_t size) {
  if (!m->final) {
    m->cut->need = size < INT32_MAX ? (int32_t)size : INT32_MAX;
    return NULL;
  }
  bad_row(m, p, m->end, TM_LINE_SYNTAX, WHY_ENDS);
  broken(m, m->end, "the input ends inside a message");
  return m->end;
}

/* The event at p is longer than one may be: a row that shows how it begins, and it is passed over from there on. */
static const char *too_long(struct making *m, const char *p, enum why why) {
  struct tm_fluent_at *at = &m->f->at;
  const char *limit = limit_of(m, p);
  int32_t sample = m->max_event < SAMPLE ? m->max_event : SAMPLE;
  if (limit == m->end && m->end - p < sample && !m->final) return more(m, p, (uint64_t)sample);
  if (limit - p > sample) limit = p + sample;
  bad_row(m, p, limit, why != WHY_NONE ? TM_LINE_SYNTAX : TM_LINE_TOO_LONG, why);
  if (at->in == TM_FLUENT_ENTRIES) at->left--;
  at->values = 1;
  return p;
}

/* The value at p, which is an event if it is one; or `why` it is none. */
static const char *single(struct making *m, const char *p, enum why why) {
  struct tm_fluent_at *at = &m->f->at;
  struct tm_msgpack_walk w = {.values = 1};
  const char *end = p, *limit = limit_of(m, p);
  int bounded = at->in == TM_FLUENT_PACKED && at->left <= (uint64_t)(m->end - p);
  enum tm_msgpack_walked walked = tm_msgpack_walk(&w, &end, limit);
  uint64_t size = (uint64_t)(end - p) + tm_msgpack_walk_least(&w);
  if (size > (uint64_t)m->max_event) return too_long(m, p, why);
  if (walked == TM_MSGPACK_DONE) {
    if (!event(m, p, end, why)) {
      m->full = 1;
      return p;
    }
    took(m, (uint64_t)(end - p));
    return end;
  }
  if (walked == TM_MSGPACK_MORE && !bounded) {
    if (at->in == TM_FLUENT_PACKED && size > at->left) size = at->left;
    return more(m, p, size);
  }
  if (walked == TM_MSGPACK_MORE) {
    bad_row(m, p, limit, TM_LINE_SYNTAX, WHY_BIN);
    at->left = 0;
    return limit;
  }
  bad_row(m, p, end + 1, TM_LINE_SYNTAX, WHY_C1);
  if (at->in != TM_FLUENT_PACKED) {
    broken(m, end, "0xc1 begins no value of msgpack");
    return m->end;
  }
  at->bytes = at->left;
  return p;
}

/* Is what follows events? Their container is the second part of a message of the forward protocol, its content at s. */
static enum why kind_of(const struct making *m, const struct tm_msgpack_head *message, const struct tm_msgpack_head *second,
                        const char *s) {
  int packed = second->type == TM_MSGPACK_BIN || second->type == TM_MSGPACK_STR;
  if (!packed && second->type != TM_MSGPACK_ARRAY) return WHY_PARTS;
  if (message->count > 3) return WHY_PARTS;
  if (packed && second->count > 1 && m->end - s > 1 && (memcmp(s, "\x1f\x8b", 2) == 0 || memcmp(s, "\x28\xb5", 2) == 0))
    return WHY_PACKED;   /* gzip, zstd */
  return WHY_NONE;
}

/* In front of a message: its head, up to its events; or all of it, if it is one event or none. */
static const char *message(struct making *m, const char *p) {
  struct tm_fluent_at *at = &m->f->at;
  struct tm_msgpack_head h, tag, second = {0};
  int64_t there = m->end - p;
  if (!tm_msgpack_head_read(p, there, &h)) return more(m, p, tm_msgpack_leads[(unsigned char)*p].len);
  if (h.type == TM_MSGPACK_NIL) return p + 1;
  if (h.type != TM_MSGPACK_ARRAY || h.count < 2) return single(m, p, WHY_NONE);
  const char *q = p + h.len;
  if (!tm_msgpack_head_read(q, m->end - q, &tag)) return single(m, p, WHY_NONE);
  if (tag.type != TM_MSGPACK_STR || tag.count > TM_FLUENT_TAG) return single(m, p, WHY_NONE);
  const char *s = q + tag.len + tag.count;
  if (s - p >= m->max_event) return too_long(m, p, WHY_NONE);
  if (s >= m->end) return more(m, p, (uint64_t)(s - p) + 1);
  int whole = tm_msgpack_head_read(s, m->end - s, &second);
  const char *first = s + second.len;
  if (second.type < TM_MSGPACK_STR || second.type == TM_MSGPACK_EXT) return single(m, p, WHY_NONE);   /* a time */
  if (first - p + 1 >= m->max_event) return too_long(m, p, WHY_NONE);
  if (!whole || (second.count > 1 && m->end - first < 2 && !m->final)) return more(m, p, (uint64_t)(first - p) + 2);
  enum why why = tm_msgpack_utf8(q + tag.len, tag.count) ? kind_of(m, &h, &second, first) : WHY_TAG_UTF8;
  if (why != WHY_NONE) return single(m, p, why);
  at->in = second.type == TM_MSGPACK_ARRAY ? TM_FLUENT_ENTRIES : TM_FLUENT_PACKED;
  at->left = second.count;
  at->behind = h.count - 2;
  at->tag_len = (int32_t)tag.count;
  memcpy(at->tag, q + tag.len, tag.count);
  return first;
}

/* What is not looked at: the rest of an event too long, or of a bin; an option. */
static const char *pass(struct making *m, const char *p) {
  struct tm_fluent_at *at = &m->f->at;
  struct tm_msgpack_walk w = {.values = at->values, .bytes = at->bytes};
  const char *q = p, *limit = limit_of(m, p);
  int in_bin = at->in == TM_FLUENT_PACKED;
  enum tm_msgpack_walked walked = tm_msgpack_walk(&w, &q, limit);
  at->values = w.values;
  at->bytes = w.bytes;
  if (in_bin) {
    int bin_ends = at->left <= (uint64_t)(m->end - p);
    at->left -= (uint64_t)(q - p);
    if (walked == TM_MSGPACK_BROKEN || (walked == TM_MSGPACK_MORE && bin_ends)) {
      at->values = 0;
      at->bytes = at->left;
      return q;
    }
  }
  if (walked == TM_MSGPACK_DONE) return q;
  if (walked == TM_MSGPACK_BROKEN) broken(m, q, "0xc1 begins no value of msgpack");
  else if (m->final) broken(m, m->end, "the input ends inside a message");
  else return q > p ? q : NULL;
  return m->end;
}

static const char *step(struct making *m, const char *p) {
  struct tm_fluent_at *at = &m->f->at;
  if ((at->values | at->bytes) != 0) return pass(m, p);
  if (at->in == TM_FLUENT_FRONT) return p < m->end ? message(m, p) : NULL;
  if (at->left > 0) return p < m->end || m->final ? single(m, p, WHY_NONE) : NULL;
  *at = (struct tm_fluent_at){.values = at->behind};
  return p;
}

void tm_fluent_decode(struct tm_batch *b, const char *text, int32_t len, int final, int32_t max_event, struct tm_cut *cut) {
  struct making m = {.b = b, .f = b->fluent, .end = text + len, .final = final, .max_event = max_event, .cut = cut};
  const char *p = text;
  m.r = (struct tm_msgpack_reader){.base = text, .shape = tm_json_shape_get(b->fields)};
  m.scan = tm_msgpack_scanner_used();
  TM_ASSERT(m.r.shape != NULL);
  if (m.max_event > EVENT_BYTES) m.max_event = EVENT_BYTES;
  tm_msgpack_batch_begin(b, text);
  *cut = (struct tm_cut){0};
  while (b->rows < TM_BATCH_ROWS && !m.full && cut->broken == NULL) {
    const char *next = step(&m, p);
    if (next == NULL) break;
    p = next;
  }
  cut->used = cut->lines = (int32_t)(p - text);
  if (p > text) cut->need = 0;
}

/* ---- for people ---- */

void tm_fluent_explain(const struct tm_batch *b, int32_t row, char *why, int32_t why_size) {
  static const char *const texts[] = {
      [WHY_TIME] = "the time of an event is an EventTime, a number of seconds or a timestamp",
      [WHY_RECORD] = "not an object: the record of an event is a map",
      [WHY_CLASH] = "the record has a field of the name that its time or tag gets; choose another one: --time-key, --tag-key",
      [WHY_TAG] = "a tag is longer than 255 bytes",
      [WHY_TAG_UTF8] = "a tag that is not UTF-8",
      [WHY_PARTS] = "a message of the forward protocol is [tag, events], [tag, time, record], or one of them with an option",
      [WHY_PACKED] = "compressed entries are not read; send them plain (Fluent Bit: compress off)",
      [WHY_BIN] = "packed entries end inside an event",
      [WHY_ENDS] = "the input ends inside a message",
  };
  const char *p = b->raw + b->off[row];
  enum why w = (enum why)b->fluent->why[row];
  struct parts x;
  struct tm_fluent_at at = {.in = TM_FLUENT_FRONT};
  size_t size = (size_t)why_size;
  if (w == WHY_SHAPE) {
    int map = tm_msgpack_leads[(unsigned char)*p].type == TM_MSGPACK_MAP;
    snprintf(why, size, "not an object: an event is [time, record] or part of a message of the forward protocol%s",
             map ? "; this is a map, which the format msgpack reads" : "");
  } else if (texts[w] != NULL) {
    snprintf(why, size, "%s", texts[w]);
  } else if (w == WHY_C1) {
    snprintf(why, size, "byte %d: 0xc1 begins no value of msgpack", b->len[row] - 1);
  } else {
    int n = snprintf(why, size, "in the record, ");
    if (parts_read(&at, p, p + b->len[row], &x) == WHY_NONE)
      tm_msgpack_explain(x.record, (int32_t)(x.end - x.record), why + n, why_size - n);
  }
}
