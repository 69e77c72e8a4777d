/* pattern.c - string.find, match, gmatch and gsub as scripts see them: runs compiled patterns (pattern.h) in bounded steps.
 *
 * LuaJIT's own run outside of machine code and without any bound: '.-.-.-.-b' on 5,000 characters takes hours, and no
 * deadline reaches them. Here each look at a character counts, in spans of bytes where a machine looks at many at once, and
 * a call ends with a fault after STEPS + STEPS_A_BYTE * length of them, some 50 ms.
 *
 * Recursion goes no deeper than Lua's own: LEVELS, at the same places, with the same fault. Captures need no undoing:
 * each belongs to one OPEN and one CLOSE, and what lies behind a choice is written again when it is chosen anew. */
#include <string.h>

#include "../base/buf.h"
#include "../base/err.h"
#include "pattern.h"

enum { STEPS = 10000000, STEPS_OF_LINE = 100000, STEPS_A_BYTE = 8, LEVELS = 200, SPAN = 16 };

struct run {
  const char *begin, *end;
  int64_t steps;       /* left */
  int fault;           /* 0: none */
  const char *from[TM_PATTERN_CAPTURES];
  const char *to[TM_PATTERN_CAPTURES];  /* NULL: open, or a position */
};

/* ---- one item ---- */

static inline int is_one(const struct tm_pattern *p, const char *s) {
  if (p->op == TM_OP_CHAR) return (uint8_t)*s == p->byte;
  return p->op == TM_OP_ANY || tm_pattern_in_set(p, (uint8_t)*s);
}

/* behind the last of the characters from s on that match */
static const char *run_of(struct run *r, const struct tm_pattern *p, const char *s) {
  const char *from = s;
  if (p->op == TM_OP_ANY) return r->end;
  while (s < r->end && is_one(p, s)) s++;
  r->steps -= s - from;
  return s;
}

/* the first place from s on where the item matches; NULL: nowhere */
static const char *next_of(struct run *r, const struct tm_pattern *p, const char *s) {
  const char *from = s, *end = r->end;
  if (p->op == TM_OP_CHAR) {
    const char *hit = memchr(s, p->byte, (size_t)(end - s));
    r->steps -= ((hit != NULL ? hit : end) - s) / SPAN;
    return hit;
  }
  while (s < end && !tm_pattern_in_set(p, (uint8_t)*s)) s++;
  r->steps -= s - from;
  return s < end ? s : NULL;
}

static int fault(struct run *r, int what) {
  if (r->fault == 0) r->fault = what;
  return 0;
}

static const char *balance(struct run *r, const struct tm_pattern *p, const char *s) {
  const char *from = s;
  int64_t open = 1;
  if (s >= r->end || (uint8_t)*s != p->byte) return NULL;
  for (s++; s < r->end; s++) {
    if ((uint8_t)*s == p->byte2) {
      if (--open == 0) break;
    } else if ((uint8_t)*s == p->byte) {
      open++;
    }
  }
  r->steps -= s - from;
  return s < r->end ? s + 1 : NULL;
}

static int frontier(const struct run *r, const struct tm_pattern *p, const char *s) {
  uint8_t before = s == r->begin ? 0 : (uint8_t)s[-1], here = s < r->end ? (uint8_t)*s : 0;
  return !tm_pattern_in_set(p, before) && tm_pattern_in_set(p, here);
}

static const char *again(struct run *r, const struct tm_pattern *p, const char *s) {
  if (r->to[p->byte] == NULL) return NULL;  /* a position */
  int64_t n = r->to[p->byte] - r->from[p->byte];
  if (r->end - s < n) return NULL;
  r->steps -= n / SPAN;
  return memcmp(s, r->from[p->byte], (size_t)n) == 0 ? s + n : NULL;
}

/* ---- the whole pattern ---- */

static const char *walk(struct run *r, const struct tm_pattern *p, const char *s, int level);

/* What stands behind a repetition cannot match at s, and says no more than that. level is the repetition's own. */
static inline int is_hopeless(const struct run *r, const struct tm_pattern *p, const char *s, int level) {
  return p->ahead != 0 && level + p->ahead < LEVELS && (s >= r->end || !is_one(p + p->ahead, s));
}

static const char *most(struct run *r, const struct tm_pattern *p, const char *s, int level) {
  const struct tm_pattern *rest = p + tm_pattern_size(p);
  const char *least = s;
  s = run_of(r, p, s);
  if (rest->op == TM_OP_LAST && s < r->end && level < LEVELS) return NULL;
  for (; s >= least && r->fault == 0; s--) {
    if (--r->steps < 0) fault(r, TM_PATTERN_STEPS);
    if (is_hopeless(r, p, s, level)) continue;
    const char *got = walk(r, rest, s, level + 1);
    if (got != NULL) return got;
  }
  return NULL;
}

static const char *least(struct run *r, const struct tm_pattern *p, const char *s, int level) {
  const struct tm_pattern *rest = p + tm_pattern_size(p);
  for (; r->fault == 0; s++) {
    if (--r->steps < 0) fault(r, TM_PATTERN_STEPS);
    if (!is_hopeless(r, p, s, level)) {
      const char *got = walk(r, rest, s, level + 1);
      if (got != NULL) return got;
    }
    if (s >= r->end || !is_one(p, s)) return NULL;
  }
  return NULL;
}

/* Behind the match of an item at s with what follows; NULL: none. *next: walk on from there with the item behind. */
static const char *repeat(struct run *r, const struct tm_pattern *p, const char *s, int level, int *next) {
  int one = s < r->end && is_one(p, s);
  const char *got;
  *next = 0;
  switch (p->times) {
    case TM_TIMES_STAR: return most(r, p, s, level);
    case TM_TIMES_PLUS: return one ? most(r, p, s + 1, level) : NULL;
    case TM_TIMES_MINUS: return least(r, p, s, level);
    case TM_TIMES_MAYBE:
      got = one ? walk(r, p + tm_pattern_size(p), s + 1, level + 1) : NULL;
      if (got != NULL || r->fault != 0) return got;
      *next = 1;
      return s;
    default:
      *next = one;
      return one ? s + 1 : NULL;
  }
}

/* Behind the match of what stands at p with the text at s; NULL: it does not match, or r->fault. level: calls of Lua's own
 * function that would be at work. */
static const char *walk(struct run *r, const struct tm_pattern *p, const char *s, int level) {
  for (;; p += tm_pattern_size(p)) {
    int next = 1;
    if (level > LEVELS) fault(r, TM_PATTERN_DEEP);
    if (--r->steps < 0) fault(r, TM_PATTERN_STEPS);
    if (r->fault != 0) return NULL;
    switch (p->op) {
      case TM_OP_END: return s;
      case TM_OP_OPEN:
      case TM_OP_POSITION:
        r->from[p->byte] = s;
        level++;
        break;
      case TM_OP_CLOSE:
        r->to[p->byte] = s;
        level++;
        break;
      case TM_OP_BALANCE: s = balance(r, p, s); break;
      case TM_OP_FRONTIER:
        if (!frontier(r, p, s)) return NULL;
        break;
      case TM_OP_AGAIN: s = again(r, p, s); break;
      case TM_OP_LAST: return s == r->end ? s : NULL;
      case TM_OP_FAULT:
        fault(r, p->byte);
        return NULL;
      default:
        s = repeat(r, p, s, level, &next);
        break;
    }
    if (s == NULL || !next) return s;
  }
}

/* The first match at or behind s: *first, and what lies behind it; NULL: none, or r->fault. */
static const char *search(struct run *r, const struct tm_pattern *program, const char *s, const char **first) {
  const struct tm_pattern *p = program + 1;
  for (;; s++) {
    if (program->ahead != 0 && !program->byte && (s = next_of(r, program + program->ahead, s)) == NULL) return NULL;
    const char *got = walk(r, p, s, 1);
    if (got != NULL || r->fault != 0) {
      *first = s;
      return got;
    }
    if (program->byte || s >= r->end) return NULL;
  }
}

static struct run run_on(const char *s, int32_t len) {
  struct run r;
  r.begin = s;
  r.end = s + len;
  r.steps = STEPS + (int64_t)len * STEPS_A_BYTE;
  r.fault = 0;
  return r;
}

/* ---- what Lua calls ---- */

/* A number of Lua's as LuaJIT makes an int of it: what an int does not hold becomes the least. */
static int32_t int_of(double n) { return n > -2147483649.0 && n < 2147483648.0 ? (int32_t)n : INT32_MIN; }

/* gsub takes a long first; what that does not hold has no low bits. */
int32_t tm_ffi_pattern_count(double n) {
  return n >= -9223372036854775808.0 && n < 9223372036854775808.0 ? (int32_t)(uint32_t)(uint64_t)(int64_t)n : 0;
}

static int32_t start_of(double init, int32_t len) {
  int32_t at = int_of(init);
  int64_t start = at < 0 ? (int64_t)at + len : (int64_t)at - 1;
  return start < 0 ? 0 : start > len ? len : (int32_t)start;
}

/* Captures of the program with what they hold, positions from 1; how many were never closed. */
static int tell(const struct run *r, const struct tm_pattern *program, int32_t *found) {
  int open = 0;
  for (const struct tm_pattern *p = program; p->op != TM_OP_END; p += tm_pattern_size(p)) {
    if (p->op == TM_OP_CLOSE) {
      found[TM_FOUND_CAPTURES + 2 * p->byte + 1] = (int32_t)(r->to[p->byte] - r->begin);
      open--;
    } else if (p->op == TM_OP_OPEN || p->op == TM_OP_POSITION) {
      found[TM_FOUND_CAPTURES + 2 * p->byte] = (int32_t)(r->from[p->byte] - r->begin) + 1;
      found[TM_FOUND_CAPTURES + 2 * p->byte + 1] = p->op == TM_OP_OPEN ? TM_PATTERN_OPEN : TM_PATTERN_POSITION;
      open += p->op == TM_OP_OPEN;
    }
  }
  return open;
}

/* Positions have no end; without this, what another run left there would be compared. */
static void captures_clear(struct run *r, const struct tm_pattern *program) {
  for (int i = 0; i < program->byte2; i++) r->to[i] = NULL;
}

static int32_t steps_of(const struct run *r, int32_t len) {
  return (int32_t)((STEPS + (int64_t)len * STEPS_A_BYTE - r->steps) / 1000);
}

int32_t tm_ffi_pattern_find(const struct tm_pattern *program, const char *s, int32_t len, double init, int32_t *found) {
  struct run r = run_on(s, len);
  const char *first;
  captures_clear(&r, program);
  const char *got = search(&r, program, s + start_of(init, len), &first);
  found[TM_FOUND_STEPS] = steps_of(&r, len);
  if (r.fault != 0) return -r.fault;
  if (got == NULL) return -1000;
  found[TM_FOUND_FIRST] = (int32_t)(first - s) + 1;
  found[TM_FOUND_LAST] = (int32_t)(got - s);
  return program->byte2 > 0 && tell(&r, program, found) > 0 ? -TM_PATTERN_UNFINISHED : program->byte2;
}

int tm_pattern_is_in(const struct tm_pattern *program, const char *s, int32_t len) {
  struct run r = run_on(s, len);
  const char *first;
  TM_ASSERT(s != NULL);
  r.steps -= STEPS - STEPS_OF_LINE;
  captures_clear(&r, program);
  int found = search(&r, program, s, &first) != NULL;
  return r.fault != 0 ? -1 : found;
}

/* Appends capture number i (0: the first, which without any is the whole) of a match: 0, or a fault. */
static int put_capture(const struct run *r, const struct tm_pattern *program, int i, const char *first, const char *behind,
                       const int32_t *found, struct tm_buf *out) {
  if (i >= program->byte2) {
    if (i > 0) return TM_PATTERN_INDEX;
    return tm_buf_put(out, first, (int32_t)(behind - first)) != 0 ? TM_PATTERN_MEMORY : 0;
  }
  if (found[TM_FOUND_CAPTURES + 2 * i + 1] == TM_PATTERN_OPEN) return TM_PATTERN_UNFINISHED;
  if (found[TM_FOUND_CAPTURES + 2 * i + 1] != TM_PATTERN_POSITION)
    return tm_buf_put(out, r->from[i], (int32_t)(r->to[i] - r->from[i])) != 0 ? TM_PATTERN_MEMORY : 0;
  char digits[12];
  int at = sizeof digits;
  for (int32_t n = found[TM_FOUND_CAPTURES + 2 * i]; n > 0; n /= 10) digits[--at] = (char)('0' + n % 10);
  return tm_buf_put(out, digits + at, (int32_t)sizeof digits - at) != 0 ? TM_PATTERN_MEMORY : 0;
}

/* Appends the replacement for one match: 0, or a fault. */
static int put_replacement(const struct run *r, const struct tm_pattern *program, const char *by, int32_t by_len, const char *first,
                           const char *behind, const int32_t *found, struct tm_buf *out) {
  const char *end = by + by_len;
  for (const char *sign; by < end; by = sign + 2) {
    if ((sign = memchr(by, '%', (size_t)(end - by))) == NULL) sign = end;
    if (tm_buf_put(out, by, (int32_t)(sign - by)) != 0) return TM_PATTERN_MEMORY;
    if (sign == end) return 0;
    char letter = sign + 1 < end ? sign[1] : 0;  /* a % at the end is a zero byte, as in Lua */
    int rc = 0;
    if (letter < '0' || letter > '9') rc = tm_buf_put(out, &letter, 1) != 0 ? TM_PATTERN_MEMORY : 0;
    else if (letter == '0') rc = tm_buf_put(out, first, (int32_t)(behind - first)) != 0 ? TM_PATTERN_MEMORY : 0;
    else rc = put_capture(r, program, letter - '1', first, behind, found, out);
    if (rc != 0) return rc;
  }
  return 0;
}

int32_t tm_ffi_pattern_gsub(const struct tm_pattern *program, const char *s, int32_t len, const char *by, int32_t by_len, double most_n,
                            struct tm_buf *out, int32_t *found) {
  struct run r = run_on(s, len);
  const char *copied = s, *at = s, *first = s;
  int32_t n = 0, limit = tm_ffi_pattern_count(most_n);
  int is_text = memchr(by, '%', (size_t)by_len) == NULL;
  captures_clear(&r, program);
  while (n < limit && at <= r.end) {
    const char *got = search(&r, program, at, &first);
    if (got == NULL) break;
    n++;
    if (!is_text && program->byte2 > 0) tell(&r, program, found);
    if (tm_buf_put(out, copied, (int32_t)(first - copied)) != 0) r.fault = TM_PATTERN_MEMORY;
    else if (!is_text) r.fault = put_replacement(&r, program, by, by_len, first, got, found, out);
    else if (tm_buf_put(out, by, by_len) != 0) r.fault = TM_PATTERN_MEMORY;
    if (r.fault != 0) break;
    copied = got;
    at = got > first ? got : got + 1;
    if (program->byte) break;
  }
  found[TM_FOUND_STEPS] = steps_of(&r, len);
  if (r.fault == 0 && n > 0 && tm_buf_put(out, copied, (int32_t)(r.end - copied)) != 0) r.fault = TM_PATTERN_MEMORY;
  return r.fault != 0 ? -r.fault : n;
}

int32_t tm_ffi_pattern_plain(const char *s, int32_t len, const char *by, int32_t by_len, double init) {
  int32_t start = start_of(init, len);
  const char *hit = memmem(s + start, (size_t)(len - start), by, (size_t)by_len);
  return hit != NULL ? (int32_t)(hit - s) + 1 : 0;
}
