/* msgpack_from_json.c - JSON text, with or without notes, as msgpack (msgpack_json.h); msgpack-c does the packing.
 *
 * A head says how many members follow, so the text is walked twice: first to count the members of each container, in the
 * order in which they open, then to write. Both walks are linear and recurse nowhere. A note decides the lead byte
 * of the value behind it where the value fits that form; elsewhere it is passed over. */
#include <msgpack.h>
#include <stdlib.h>

#include "../base/buf.h"
#include "json.h"
#include "json_walk.h"
#include "msgpack_bytes.h"
#include "msgpack_json.h"
#include "note.h"

enum { NAN_BITS = 5 };  /* behind the 1e998 of a NaN (note.h) */

/* ---- single values ---- */

static int put_bytes(void *data, const char *s, size_t n) {
  return n > INT32_MAX ? -1 : tm_buf_put(data, s, (int32_t)n);
}

static msgpack_packer packer(struct tm_buf *out) {
  msgpack_packer pk;
  msgpack_packer_init(&pk, out, put_bytes);
  return pk;
}

int32_t tm_msgpack_put_number(struct tm_buf *out, double v) {
  msgpack_packer pk = packer(out);
  if (!__builtin_isfinite(v)) return -2;
  int whole = v >= -9007199254740992.0 && v <= 9007199254740992.0 && v == (double)(int64_t)v;
  /* of the two zeros only one is an integer */
  if (whole && (v != 0 || !__builtin_signbit(v))) return msgpack_pack_int64(&pk, (int64_t)v);
  return msgpack_pack_double(&pk, v);
}

int32_t tm_msgpack_put_str(struct tm_buf *out, const char *s, int32_t len) {
  msgpack_packer pk = packer(out);
  if (!tm_msgpack_utf8(s, (uint32_t)len)) return -2;
  return msgpack_pack_str(&pk, (size_t)len) != 0 ? -1 : tm_buf_put(out, s, len);
}

int32_t tm_msgpack_put_map(struct tm_buf *out, uint32_t pairs) {
  msgpack_packer pk = packer(out);
  return msgpack_pack_map(&pk, pairs);
}

/* The lead byte, then the low `n` bytes of v, most significant first. */
static int32_t put_lead(struct tm_buf *out, uint8_t lead, uint64_t v, int32_t n) {
  char bytes[9];
  bytes[0] = (char)lead;
  for (int32_t i = 0; i < n; i++) bytes[1 + i] = (char)(v >> 8 * (n - 1 - i));
  return tm_buf_put(out, bytes, n + 1);
}

/* ---- numbers ---- */

/* The integer in the form of a lead byte from cc to d3: 0, -1 out of space, 1 it does not fit. */
static int32_t put_int_as(struct tm_buf *out, uint8_t lead, uint64_t v, int negative) {
  int32_t n = 1 << ((lead - 0xcc) & 3), bits = 8 * n;
  uint64_t most = UINT64_MAX >> (64 - bits);
  if (lead >= 0xd0) {
    int64_t limit = (int64_t)(most >> 1), value = (int64_t)v;
    if ((!negative && v > (uint64_t)limit) || (negative && value < -limit - 1)) return 1;
  } else if (negative || v > most) {
    return 1;
  }
  return put_lead(out, lead, v, n);
}

static int32_t put_int(struct tm_buf *out, uint8_t lead, uint64_t v, int negative) {
  msgpack_packer pk = packer(out);
  if (lead >= 0xcc && lead <= 0xd3) {
    int32_t rc = put_int_as(out, lead, v, negative);
    if (rc <= 0) return rc;
  }
  return negative ? msgpack_pack_int64(&pk, (int64_t)v) : msgpack_pack_uint64(&pk, v);
}

static int32_t put_float(struct tm_buf *out, uint8_t lead, double v) {
  msgpack_packer pk = packer(out);
  return lead == 0xca ? msgpack_pack_float(&pk, (float)v) : msgpack_pack_double(&pk, v);
}

/* The integer literal's value, if 64 bits hold it. */
static int int_read(const char *p, const char *end, uint64_t *v, int *negative) {
  uint64_t sum = 0;
  *negative = *p == '-';
  for (p += *negative; p < end; p++) {
    if (__builtin_mul_overflow(sum, 10u, &sum) || __builtin_add_overflow(sum, (uint64_t)(*p - '0'), &sum)) return 0;
  }
  if (*negative && sum > (uint64_t)INT64_MAX + 1) return 0;
  *v = *negative ? 0 - sum : sum;
  return 1;
}

/* lead: what a note says, or 0 */
static int32_t put_number(struct tm_buf *out, const char *text, int32_t len, uint8_t lead) {
  struct tm_cell c;
  double v;
  int is_float = lead == 0xca || lead == 0xcb, negative;
  if (is_float && tm_note_number_read(text, &v)) {
    return v == v ? put_float(out, lead, v) : put_lead(out, lead, strtoull(text + NAN_BITS, NULL, 10), lead == 0xca ? 4 : 8);
  }
  for (int32_t i = 0; i < len; i++) is_float |= text[i] == '.' || text[i] == 'e' || text[i] == 'E';
  if (!is_float) {
    uint64_t n;
    if (!int_read(text, text + len, &n, &negative)) return -2;
    if (n != 0 || !negative) return put_int(out, lead, n, negative);
  }
  /* also -0, which no integer is; text[0..len) may be a large integer with the note of a float */
  tm_json_number_cell(text, len, 1, &c);
  if (tm_cell_kind(&c) == TM_KIND_HUGE) return -2;
  return put_float(out, lead, tm_cell_kind(&c) == TM_KIND_NUMBER ? c.num : strtod(text, NULL));
}

/* ---- strings ---- */

static int32_t put_str_head(struct tm_buf *out, uint8_t lead, uint32_t n) {
  msgpack_packer pk = packer(out);
  if (lead == 0xd9 && n <= UINT8_MAX) return put_lead(out, lead, n, 1);
  if (lead == 0xda && n <= UINT16_MAX) return put_lead(out, lead, n, 2);
  if (lead == 0xdb) return put_lead(out, lead, n, 4);
  return msgpack_pack_str(&pk, n);
}

/* Bytes or an extension. */
static int32_t put_opaque(struct tm_buf *out, const char *text, int32_t len) {
  static struct tm_buf bytes;
  struct tm_note_value v;
  msgpack_packer pk = packer(out);
  if (bytes.cap_max == 0) tm_buf_init(&bytes, INT32_MAX - TM_PAD);
  bytes.len = 0;
  if (tm_note_opaque_read(text, len, &v, &bytes) != 0) return -1;
  int32_t size = v.lead <= 0xc6 ? 1 << (v.lead - 0xc4) : v.lead >= 0xc7 && v.lead <= 0xc9 ? 1 << (v.lead - 0xc7) : 0;
  int as_noted = size > 0 && (size == 4 || (uint64_t)v.n < UINT64_C(1) << 8 * size);
  int32_t rc;
  if (as_noted) {
    char type = (char)v.type;
    rc = put_lead(out, v.lead, (uint64_t)v.n, size);
    if (rc == 0 && !v.bin) rc = tm_buf_put(out, &type, 1);
  } else {
    rc = v.bin ? msgpack_pack_bin(&pk, (size_t)v.n) : msgpack_pack_ext(&pk, (size_t)v.n, (int8_t)v.type);
  }
  return rc != 0 ? -1 : tm_buf_put(out, bytes.data, (int32_t)v.n);
}

/* The span of a string without its quotes. */
static int32_t put_string(struct tm_buf *out, const char *text, int32_t len, int escaped, uint8_t lead) {
  static struct tm_buf plain;
  if (len > 0 && tm_note_at(text)) return put_opaque(out, text, len);
  if (escaped) {
    if (plain.cap_max == 0) tm_buf_init(&plain, INT32_MAX - TM_PAD);
    plain.len = 0;
    if (tm_ffi_json_unescape(text, len, &plain) != 0) return -1;
    text = plain.data;
    len = plain.len;
  }
  return put_str_head(out, lead, (uint32_t)len) != 0 ? -1 : tm_buf_put(out, text, len);
}

/* ---- containers ---- */

/* A container of a text. */
struct container {
  int32_t members;
  int32_t outer;        /* index of the one around it; -1 none */
};

/* All of them, in the order in which they open. */
static struct tm_buf containers;

static struct container *container_at(int32_t i) {
  return (struct container *)(void *)containers.data + i;
}

static int32_t count_members(const char *text, const char *end) {
  int32_t top = -1, n = 0;
  int escaped;
  containers.len = 0;
  if (containers.cap_max == 0) tm_buf_init(&containers, INT32_MAX - TM_PAD);
  for (const char *p = text; p < end; p++) {
    switch (*p) {
      case '"': p = tm_json_string_skip(p + 1, &escaped); break;
      case '{':
      case '[': {
        p = tm_json_space_skip(p + 1) - 1;
        struct container c = {.members = p[1] != '}' && p[1] != ']', .outer = top};
        if (tm_buf_put(&containers, (const char *)&c, sizeof c) != 0) return -1;
        top = n++;
        break;
      }
      case '}':
      case ']': top = container_at(top)->outer; break;
      case ',': container_at(top)->members++; break;
      default: break;
    }
  }
  return 0;
}

static int32_t put_container(struct tm_buf *out, int map, uint32_t n, uint8_t lead) {
  msgpack_packer pk = packer(out);
  if (lead == (map ? 0xde : 0xdc) && n <= UINT16_MAX) return put_lead(out, lead, n, 2);
  if (lead == (map ? 0xdf : 0xdd)) return put_lead(out, lead, n, 4);
  return map ? msgpack_pack_map(&pk, n) : msgpack_pack_array(&pk, n);
}

/* Every token makes its bytes by itself: commas, colons and closing brackets none. */
static int32_t put_tokens(struct tm_buf *out, const char *p, const char *end) {
  int32_t opened = 0, rc = 0;
  int escaped;
  uint8_t lead = 0;
  while (p < end && rc == 0) {
    if (tm_note_at(p)) {
      lead = tm_note_lead(p);
      p += TM_NOTE;
      continue;
    }
    const char *from = p++;
    switch (*from) {
      case ' ': case '\t': case '\r': case '\n': case ',': case ':': case '}': case ']': continue;
      case '"':
        escaped = 0;
        p = tm_json_string_skip(p, &escaped);
        rc = put_string(out, from + 1, (int32_t)(p++ - from - 1), escaped, lead);
        break;
      case '{':
      case '[':
        rc = put_container(out, *from == '{', (uint32_t)container_at(opened++)->members, lead);
        break;
      case 't': case 'n':
        rc = put_lead(out, *from == 't' ? 0xc3 : 0xc0, 0, 0);
        p += 3;
        break;
      case 'f':
        rc = put_lead(out, 0xc2, 0, 0);
        p += 4;
        break;
      default:
        p = tm_json_number_skip(from, end);
        rc = put_number(out, from, (int32_t)(p - from), lead);
    }
    lead = 0;
  }
  return rc;
}

int32_t tm_msgpack_from_json(struct tm_buf *out, const char *text, int32_t len) {
  int32_t start = out->len, rc = count_members(text, text + len);
  if (rc == 0) rc = put_tokens(out, text, text + len);
  if (rc != 0) out->len = start;
  return rc;
}
