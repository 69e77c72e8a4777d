/* kept.c - a batch that holds one event at a time, made of bytes that were kept (abi.h, "rows of kept events").
 *
 * What a step keeps of an event are its bytes. To be read again they become an event of such a batch, which has fields and columns
 * of its own, so steps behind read it as they read any event, and decode no more than they ask for. It stands in the slot
 * of the event at hand of the batch `of`: rows that leave find there whose they are.
 *
 *   text   | TM_PAD | the object's bytes | LF, TM_PAD | side, of msgpack: JSON made of cells | TM_PAD |
 *
 * Bytes given must be a valid object of the batch's format: they were read before. One thread. */
#include <stdlib.h>
#include <string.h>

#include "../base/buf.h"
#include "../base/err.h"
#include "../base/owned.h"
#include "../event/fields.h"
#include "json.h"
#include "json_scanner.h"
#include "msgpack_bytes.h"
#include "msgpack_json.h"
#include "msgpack_scanner.h"

/* JSON of a cell of msgpack is up to six times as long, and members of members that are read have texts of their own. */
enum { SIDE_TIMES = 8, SIDE_MORE = 1024 * 1024 };

static const char pad[TM_PAD];

struct kept {
  struct tm_batch batch;        /* first: it is what Lua knows of this */
  struct tm_buf text;
  int32_t row;                  /* the slot it stands in */
  char *name;                   /* of the member that put_with sets, and as it is written in front of the value */
  char *key;
  int32_t name_len, key_len;
  struct tm_patch *patch;
  struct kept *next;            /* of all there are */
};

static struct kept *all;

static struct kept *kept_of(struct tm_batch *b) { return (struct kept *)(void *)b; }

/* "name": or the str of msgpack */
static int key_make(struct kept *k, const char *name, int32_t len) {
  struct tm_buf key;
  tm_buf_init_owned(&key, INT32_MAX - TM_PAD);
  int32_t rc = k->batch.format == TM_FORMAT_JSON ? tm_ffi_json_string(&key, name, len) : tm_msgpack_put_str(&key, name, len);
  if (rc == 0 && k->batch.format == TM_FORMAT_JSON) rc = tm_buf_put(&key, ":", 1);
  k->key = key.data;
  k->key_len = key.len;
  k->name = tm_owned_malloc((size_t)len + 1);
  if (rc != 0 || k->name == NULL) return -1;
  memcpy(k->name, name, (size_t)len);
  k->name_len = len;
  return 0;
}

/* Their columns and names; the rest goes by itself. */
static void forget(void) {
  for (struct kept *k = all; k != NULL; k = k->next) tm_fields_free(k->batch.fields);
  all = NULL;
}

struct tm_batch *tm_ffi_kept_new(int32_t format, const char *name, int32_t name_len) {
  TM_ASSERT(format == TM_FORMAT_JSON || format == TM_FORMAT_MSGPACK);
  struct kept *k = tm_owned_calloc(1, sizeof *k);
  if (k == NULL) return NULL;
  k->batch.format = format;
  tm_buf_init_owned(&k->text, INT32_MAX - 2 * TM_PAD);
  k->batch.fields = tm_fields_new();
  k->patch = tm_ffi_patch_new();
  if (k->batch.fields == NULL || k->patch == NULL || key_make(k, name, name_len) != 0) {
    if (k->batch.fields != NULL) tm_fields_free(k->batch.fields);
    tm_owned_free(k->patch);
    tm_owned_free(k->name);
    tm_owned_free(k->key);
    tm_owned_free(k);
    return NULL;
  }
  memset(k->batch.status, TM_LINE_SYNTAX, sizeof k->batch.status);
  tm_owned_ending(forget);
  k->next = all;
  all = k;
  return &k->batch;
}

struct tm_fields *tm_ffi_kept_fields(struct tm_batch *b) { return b->fields; }

static int text_begin(struct kept *k) {
  k->text.len = 0;
  return tm_buf_put(&k->text, pad, TM_PAD);
}

/* Room for texts that are asked for of the event's cells. It costs nothing until something is written there. */
static int side_make(struct kept *k, int32_t len) {
  struct tm_batch *b = &k->batch;
  int64_t size = SIDE_TIMES * (int64_t)len + SIDE_MORE, most = (int64_t)k->text.cap_max - k->text.len - TM_PAD;
  int32_t cap = (int32_t)(size < most ? size : most);
  if (cap < 0 || tm_buf_reserve(&k->text, TM_PAD + cap) != 0) return -1;
  b->side = k->text.data + k->text.len + TM_PAD;
  b->side_cap = cap;
  return 0;
}

/* What lies in the text from TM_PAD on is the event now. */
static int32_t text_read(struct kept *k, const struct tm_batch *of, int32_t row) {
  struct tm_batch *b = &k->batch;
  int32_t len = k->text.len - TM_PAD;
  if (tm_buf_put(&k->text, "\n", 1) != 0 || tm_buf_reserve(&k->text, TM_PAD) != 0) return -1;
  if (b->format == TM_FORMAT_MSGPACK && side_make(k, len) != 0) return -1;
  struct tm_json_shape *shape = tm_json_shape_get(b->fields);
  if (shape == NULL) return -1;
  b->status[k->row] = TM_LINE_SYNTAX;
  k->row = row;
  b->raw = k->text.data;
  b->rows = row + 1;
  b->off[row] = TM_PAD;
  b->len[row] = len;
  b->status[row] = TM_LINE_OK;
  b->origin[row] = of->origin[row];
  b->received_ms = of->received_ms;
  b->side_len = b->text_row = 0;
  for (int32_t id = 1; id < b->fields->n; id++) tm_field_absent(&b->fields->list[id], row);
  if (b->format == TM_FORMAT_JSON) {
    struct tm_json_scan s = {.base = b->raw, .shape = shape, .row = row, .end = b->raw + TM_PAD + len};
    tm_json_object_read(&s, b->raw + TM_PAD);
    b->twice[row] = (uint8_t)s.twice;
  } else {
    struct tm_msgpack_reader r = {.base = b->raw, .shape = shape, .row = row, .end = b->raw + TM_PAD + len};
    tm_msgpack_scanner_used()(&r, b->raw + TM_PAD);
    b->twice[row] = (uint8_t)r.twice;
  }
  return 0;
}

int32_t tm_ffi_kept_put(struct tm_batch *b, const struct tm_batch *of, int32_t row, const char *text, int32_t len) {
  struct kept *k = kept_of(b);
  if (text_begin(k) != 0 || tm_buf_put(&k->text, text, len) != 0) return -1;
  return text_read(k, of, row);
}

/* ---- with a member more ---- */

/* Is there a member of that name in an object of JSON? Where its key's bytes stand nowhere, and no key can be written in another
 * way, there is none. */
static int json_may_have(const struct kept *k, const char *text, int32_t len) {
  return memmem(text, (size_t)len, k->key, (size_t)k->key_len - 1) != NULL || memchr(text, '\\', (size_t)len) != NULL;
}

static int json_patched(struct kept *k, const char *text, int32_t len, const char *more, int32_t more_len) {
  static struct tm_buf padded;
  if (padded.cap_max == 0) tm_buf_init(&padded, INT32_MAX - TM_PAD);
  padded.len = 0;
  if (tm_buf_put(&padded, text, len) != 0 || tm_buf_reserve(&padded, TM_PAD) != 0) return -1;
  tm_ffi_patch_reset(k->patch);
  if (tm_ffi_patch_set(k->patch, k->name, k->name_len, 0, more_len) != 0) return -1;
  return tm_ffi_patch_apply(k->patch, padded.data, len, more, &k->text);
}

static int json_with(struct kept *k, const char *text, int32_t len, const char *more, int32_t more_len) {
  if (json_may_have(k, text, len)) return json_patched(k, text, len, more, more_len);
  int32_t end = len - 1;        /* the brace */
  while (text[end - 1] == ' ' || text[end - 1] == '\t' || text[end - 1] == '\r') end--;
  struct tm_buf *out = &k->text;
  if (tm_buf_reserve(out, end + k->key_len + more_len + 2) != 0) return -1;
  if (tm_buf_put(out, text, end) != 0 || (text[end - 1] != '{' && tm_buf_put(out, ",", 1) != 0)) return -1;
  if (tm_buf_put(out, k->key, k->key_len) != 0 || tm_buf_put(out, more, more_len) != 0) return -1;
  return tm_buf_put(out, "}", 1);
}

static int key_is(const struct kept *k, const char *p, const char *end) {
  struct tm_msgpack_head head = {0};
  tm_msgpack_head_read(p, end - p, &head);
  return head.type == TM_MSGPACK_STR && head.count == (uint32_t)k->name_len && memcmp(p + head.len, k->name, head.count) == 0;
}

static int msgpack_more(struct kept *k, const char *more, int32_t more_len) {
  return tm_buf_put(&k->text, k->key, k->key_len) != 0 ? -1 : tm_buf_put(&k->text, more, more_len);
}

/* As a patch of JSON does: the new member stands in the place of the last one of that name, others go; else it comes last. */
static int msgpack_with(struct kept *k, const char *text, int32_t len, const char *more, int32_t more_len) {
  const char *end = text + len;
  struct tm_msgpack_head head = {0};
  uint32_t same = 0, last = UINT32_MAX;
  tm_msgpack_head_read(text, len, &head);
  const char *from = text + head.len, *p = from;
  for (uint32_t i = 0; i < head.count; i++) {
    if (key_is(k, p, end)) {
      same++;
      last = i;
    }
    p = tm_msgpack_pass(tm_msgpack_pass(p));
  }
  if (tm_msgpack_put_map(&k->text, head.count - same + 1) != 0) return -1;
  if (same == 0) return tm_buf_put(&k->text, from, (int32_t)(end - from)) != 0 ? -1 : msgpack_more(k, more, more_len);
  p = from;
  for (uint32_t i = 0; i < head.count; i++) {
    const char *member = p;
    int rc = 0;
    p = tm_msgpack_pass(tm_msgpack_pass(p));
    if (i == last) rc = msgpack_more(k, more, more_len);
    else if (!key_is(k, member, end)) rc = tm_buf_put(&k->text, member, (int32_t)(p - member));
    if (rc != 0) return -1;
  }
  return 0;
}

int32_t tm_ffi_kept_put_with(struct tm_batch *b, const struct tm_batch *of, int32_t row, const char *text, int32_t len,
                             const char *more, int32_t more_len) {
  struct kept *k = kept_of(b);
  if (text_begin(k) != 0) return -1;
  int rc = b->format == TM_FORMAT_JSON ? json_with(k, text, len, more, more_len) : msgpack_with(k, text, len, more, more_len);
  return rc != 0 ? -1 : text_read(k, of, row);
}
