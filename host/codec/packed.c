/* packed.c - values of msgpack batches where text is wanted, and of all batches where a row is written (packed.h).
 *
 * A cell of a msgpack batch points at the value's bytes. When Lua wants to look at it as text, the text is made at the end of
 * the batch's side region and the cell points there from then on; in front of the text stands where it came from:
 *
 *   raw:  … | bytes of the value | …            side:  … | off, len, 0 | text | off, len, 0 | text | …
 *             ^____________________________________________|              ^
 *                                                             the cell
 *
 * Both lie in one region, so that an offset of 32 bits reaches either. */
#include "packed.h"

#include "../base/buf.h"
#include "csv.h"
#include "json_walk.h"
#include "msgpack_bytes.h"
#include "msgpack_json.h"
#include "number_text.h"

const char *tm_cell_packed(const struct tm_batch *b, const struct tm_cell *c, int32_t *len) {
  const char *text = b->raw + c->off;
  if (tm_cell_in_side(b, c)) {
    struct tm_cell_origin from;
    text -= tm_cell_quoted(c);
    if (tm_note_at(text - TM_NOTE)) text -= TM_NOTE;
    memcpy(&from, text - sizeof from, sizeof from);
    *len = from.len;
    return b->raw + from.off;
  }
  int32_t head = tm_cell_kind(c) == TM_KIND_STRING ? tm_cell_head(c) : 0;
  *len = tm_cell_len(c) + head;
  return text - head;
}

/* The same of CSV. */
static int32_t csv_row_put(struct tm_buf *out, const struct tm_batch *b, const struct tm_cell *c, int32_t format) {
  static struct tm_buf text;
  if (format != TM_FORMAT_MSGPACK) return tm_csv_cell_put(out, b, c);
  if (text.cap_max == 0) tm_buf_init(&text, INT32_MAX - TM_PAD);
  text.len = 0;
  if (tm_csv_cell_put(&text, b, c) != 0 || tm_buf_reserve(&text, 1) != 0) return -1;
  return tm_msgpack_from_json(out, text.data, text.len);
}

int32_t tm_cell_row_put(struct tm_buf *out, const struct tm_batch *b, const struct tm_cell *c, int32_t format) {
  int32_t len, quoted;
  if (b->format == TM_FORMAT_JSON) {
    quoted = tm_cell_quoted(c);
    const char *text = b->raw + c->off - quoted;
    len = tm_cell_len(c) + 2 * quoted;
    return format == TM_FORMAT_JSON ? tm_buf_put(out, text, len) : tm_msgpack_from_json(out, text, len);
  }
  if (tm_csv_batch(b)) return csv_row_put(out, b, c, format);
  const char *p = tm_cell_packed(b, c, &len);
  return format == TM_FORMAT_JSON ? tm_msgpack_to_json(out, p, 0) : tm_buf_put(out, p, len);
}

/* Is any of the n <= 32 bytes at s one that JSON escapes, or not ASCII? */
static inline int needs_care(const char *s, int32_t n) {
#ifdef __SSE2__
  uint32_t hits = 0;
  for (int i = 0; i < 32 && i < n; i += 16) {
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(s + i));
    __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('"')), _mm_cmpeq_epi8(x, _mm_set1_epi8('\\')));
    /* signed: what is not ASCII is below 0x20 too */
    hit = _mm_or_si128(hit, _mm_cmplt_epi8(x, _mm_set1_epi8(0x20)));
    hits |= (uint32_t)_mm_movemask_epi8(hit) << i;
  }
  return (hits & (uint32_t)((UINT64_C(1) << n) - 1)) != 0;
#else
  for (int32_t i = 0; i < n; i++)
    if (s[i] < 0x20 || s[i] == '"' || s[i] == '\\') return 1;
  return 0;
#endif
}

char *tm_cell_text(char *to, const struct tm_batch *b, const struct tm_cell *c) {
  int32_t n = tm_cell_len(c);
  const char *s = b->raw + c->off;
  switch (tm_cell_kind(c)) {
    case TM_KIND_STRING:
      if (n > 32 || needs_care(s, n)) return to;
      *to = '"';
      memcpy(to + 1, s, 32);
      to[n + 1] = '"';
      return to + n + 2;
    case TM_KIND_NUMBER:
      if (b->format != TM_FORMAT_MSGPACK) {
        if (n > 32) return to;
        memcpy(to, s, 32);
        return to + n;
      }
      return __builtin_isfinite(c->num) ? tm_number_write(to, c->num) : to;
    default: return to;
  }
}

int32_t tm_ffi_cell_put(struct tm_buf *out, const struct tm_batch *b, const struct tm_cell *c) {
  int32_t len;
  if (b->format == TM_FORMAT_JSON) return tm_cell_row_put(out, b, c, TM_FORMAT_JSON);
  if (tm_csv_batch(b)) return tm_csv_cell_put(out, b, c);
  return tm_msgpack_to_json(out, tm_cell_packed(b, c, &len), 1);
}

int32_t tm_ffi_cell_text(struct tm_batch *b, struct tm_cell *c) {
  if (tm_csv_batch(b)) return tm_csv_cell_text(b, c);
  if (b->format != TM_FORMAT_MSGPACK || tm_cell_kind(c) == TM_KIND_ABSENT || tm_cell_in_side(b, c)) return 0;
  struct tm_buf room;
  struct tm_cell_origin from = {0};
  int kind = tm_cell_kind(c), escaped = 0;
  const char *p = tm_cell_packed(b, c, &from.len);
  from.off = (int32_t)(p - b->raw);
  tm_buf_init_fixed(&room, b->side, b->side_cap);
  room.len = b->side_len;
  if (tm_buf_put(&room, (const char *)&from, sizeof from) != 0) return -1;
  int32_t start = room.len;
  if (tm_msgpack_to_json(&room, p, 1) != 0) return -1;
  /* a note in front of the value is not part of its span */
  if (tm_note_at(b->side + start)) start += TM_NOTE;
  int32_t len = room.len - start;
  if (kind == TM_KIND_STRING) {
    tm_json_string_skip(b->side + start + 1, &escaped);
    if (escaped) kind = TM_KIND_ESCAPED;
  }
  b->side_len = room.len;
  int quoted = kind == TM_KIND_STRING || kind == TM_KIND_ESCAPED || kind == TM_KIND_OPAQUE;
  c->off = (int32_t)(b->side + start + quoted - b->raw);
  c->tag = (int32_t)((uint32_t)(len - 2 * quoted) << 4 | (uint32_t)kind);
  return 0;
}

const char *tm_ffi_batch_text(struct tm_batch *b, int32_t row, const struct tm_types *types, int32_t *len) {
  static struct tm_buf text;
  static const struct tm_batch *of;
  static const struct tm_types *with;
  if (b->format == TM_FORMAT_JSON) {
    *len = b->len[row];
    return b->raw + b->off[row];
  }
  if (of != b || b->text_row != row + 1 || with != types) {
    if (text.cap_max == 0) tm_buf_init(&text, INT32_MAX - TM_PAD);
    of = NULL;
    text.len = 0;
    int32_t rc = tm_csv_batch(b) ? tm_csv_text(&text, b, row, types) : tm_msgpack_to_json(&text, b->raw + b->off[row], 1);
    if (rc != 0 || tm_buf_reserve(&text, 1) != 0) return NULL;
    of = b;
    with = types;
    b->text_row = row + 1;
  }
  /* of a head that is not the shortest */
  int32_t note = tm_note_at(text.data) ? TM_NOTE : 0;
  *len = text.len - note;
  return text.data + note;
}
