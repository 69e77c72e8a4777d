/* pattern_compile.c - the text of a string pattern as instructions (pattern.h).
 *
 * Never fails and allocates nothing: the caller has room for tm_ffi_pattern_room() instructions. What is wrong with a
 * pattern becomes a FAULT where a match would meet it; nothing behind one is read. */
#include <string.h>

#include "pattern.h"

struct compiler {
  const unsigned char *p;    /* what is next */
  const unsigned char *end;
  struct tm_pattern *out;
  uint8_t open[TM_PATTERN_CAPTURES];  /* captures opened and not closed, innermost last */
  int open_n;
  int captures;
  uint32_t closed;           /* a bit a capture */
  uint32_t places;           /* captures of a position */
};

/* ---- characters ---- */

static int is_class(unsigned char letter, unsigned c) {
  int lower = c - 'a' < 26, upper = c - 'A' < 26, digit = c - '0' < 10, graph = c - 33 < 94;
  switch (letter | 32) {
    case 'a': return lower || upper;
    case 'c': return c < 32 || c == 127;
    case 'd': return digit;
    case 'g': return graph;
    case 'l': return lower;
    case 'p': return graph && !lower && !upper && !digit;
    case 's': return c == 32 || c - 9 < 5;
    case 'u': return upper;
    case 'w': return lower || upper || digit;
    case 'x': return digit || (c | 32) - 'a' < 6;
    default: return c == 0;  /* z */
  }
}

static int is_class_letter(unsigned char c) { return c != 0 && strchr("acdglpsuwxz", c | 32) != NULL && (c & 64) != 0; }

static void set_add(uint8_t *bits, unsigned c) { bits[c >> 3] |= (uint8_t)(1u << (c & 7)); }

/* what stands behind a % : a class, or the character itself */
static void set_add_escaped(uint8_t *bits, unsigned char letter) {
  if (!is_class_letter(letter)) {
    set_add(bits, letter);
    return;
  }
  int inverted = (letter & 32) == 0;
  for (unsigned c = 0; c < 256; c++)
    if (is_class(letter, c) != inverted) set_add(bits, c);
}

/* The inside of [ ], from p to the bracket that closes it. */
static void set_fill(uint8_t *bits, const unsigned char *p, const unsigned char *end) {
  int inverted = p < end && *p == '^';
  if (inverted) p++;
  while (p < end) {
    if (*p == '%') {
      set_add_escaped(bits, p[1]);
      p += 2;
    } else if (p + 2 < end && p[1] == '-') {
      for (unsigned c = p[0]; c <= p[2]; c++) set_add(bits, c);
      p += 3;
    } else {
      set_add(bits, *p++);
    }
  }
  for (int i = 0; inverted && i < 32; i++) bits[i] = (uint8_t)~bits[i];
}

/* The bracket that closes the one at p; NULL: there is none. The first character inside never does. */
static const unsigned char *bracket_end(const unsigned char *p, const unsigned char *end) {
  p++;
  if (p < end && *p == '^') p++;
  do {
    if (p >= end) return NULL;
    if (*p++ == '%' && p < end) p++;
  } while (p >= end || *p != ']');
  return p;
}

/* ---- instructions ---- */

static struct tm_pattern *put(struct compiler *c, int op, int byte) {
  struct tm_pattern *i = c->out;
  *i = (struct tm_pattern){.op = (uint8_t)op, .byte = (uint8_t)byte};
  c->out += tm_pattern_size(i);
  if (tm_pattern_size(i) > 1) memset(i + 1, 0, 32);
  return i;
}

static int put_fault(struct compiler *c, int fault) {
  put(c, TM_OP_FAULT, fault);
  return -1;
}

static int put_parenthesis(struct compiler *c) {
  if (*c->p == '(') {
    int position = c->p + 1 < c->end && c->p[1] == ')';
    if (c->captures == TM_PATTERN_CAPTURES) return put_fault(c, TM_PATTERN_MANY);
    put(c, position ? TM_OP_POSITION : TM_OP_OPEN, c->captures);
    if (position) c->places |= 1u << c->captures;
    else c->open[c->open_n++] = (uint8_t)c->captures;
    c->captures++;
    c->p += position ? 2 : 1;
    return 0;
  }
  if (c->open_n == 0) return put_fault(c, TM_PATTERN_CLOSE);
  int capture = c->open[--c->open_n];
  put(c, TM_OP_CLOSE, capture);
  c->closed |= 1u << capture;
  c->p++;
  return 0;
}

/* %b %f %1; 1: it is none of these */
static int put_special(struct compiler *c) {
  unsigned char letter = c->p + 1 < c->end ? c->p[1] : 0;
  if (letter == 'b') {
    if (c->end - c->p < 4) return put_fault(c, TM_PATTERN_BALANCE);
    put(c, TM_OP_BALANCE, c->p[2])->byte2 = c->p[3];
    c->p += 4;
    return 0;
  }
  if (letter == 'f') {
    const unsigned char *from = c->p + 2, *to;
    if (from >= c->end || *from != '[') return put_fault(c, TM_PATTERN_FRONTIER);
    if ((to = bracket_end(from, c->end)) == NULL) return put_fault(c, TM_PATTERN_BRACKET);
    set_fill((uint8_t *)(put(c, TM_OP_FRONTIER, 0) + 1), from + 1, to);
    c->p = to + 1;
    return 0;
  }
  if (letter >= '0' && letter <= '9') {
    int capture = letter - '1';
    /* a position is no text: asking for it again finds nothing */
    if (capture < 0 || ((c->closed | c->places) >> capture & 1) == 0) return put_fault(c, TM_PATTERN_INDEX);
    put(c, TM_OP_AGAIN, capture);
    c->p += 2;
    return 0;
  }
  return 1;
}

static int put_item(struct compiler *c) {
  struct tm_pattern *i;
  if (*c->p == '%') {
    if (c->p + 1 >= c->end) return put_fault(c, TM_PATTERN_ENDS);
    unsigned char letter = c->p[1];
    i = put(c, is_class_letter(letter) ? TM_OP_SET : TM_OP_CHAR, letter);
    if (i->op == TM_OP_SET) set_add_escaped((uint8_t *)(i + 1), letter);
    c->p += 2;
  } else if (*c->p == '[') {
    const unsigned char *to = bracket_end(c->p, c->end);
    if (to == NULL) return put_fault(c, TM_PATTERN_BRACKET);
    i = put(c, TM_OP_SET, 0);
    set_fill((uint8_t *)(i + 1), c->p + 1, to);
    c->p = to + 1;
  } else {
    i = put(c, *c->p == '.' ? TM_OP_ANY : TM_OP_CHAR, *c->p);
    c->p++;
  }
  static const char times[] = "?*+-";
  const char *t = c->p < c->end ? memchr(times, *c->p, 4) : NULL;
  if (t != NULL) {
    i->times = (uint8_t)(TM_TIMES_MAYBE + (t - times));
    c->p++;
  }
  return 0;
}

static int put_next(struct compiler *c) {
  int rc;
  if (*c->p == '(' || *c->p == ')') return put_parenthesis(c);
  if (*c->p == '$' && c->p + 1 == c->end) {
    put(c, TM_OP_LAST, 0);
    c->p++;
    return 0;
  }
  return *c->p == '%' && (rc = put_special(c)) <= 0 ? rc : put_item(c);
}

/* Tells BEGIN and each repetition which item surely has to match right behind it. */
static void look_ahead(struct tm_pattern *program, const struct tm_pattern *end) {
  for (struct tm_pattern *i = program; i < end; i += tm_pattern_size(i)) {
    const struct tm_pattern *next = i + tm_pattern_size(i);
    if (i->op != TM_OP_BEGIN && i->times < TM_TIMES_STAR) continue;
    while (next->op == TM_OP_OPEN || next->op == TM_OP_CLOSE || next->op == TM_OP_POSITION) next++;
    int item = next->op == TM_OP_CHAR || next->op == TM_OP_SET;
    if (item && (next->times == TM_TIMES_ONE || next->times == TM_TIMES_PLUS)) i->ahead = (int32_t)(next - i);
  }
}

/* A set takes two characters at least, and five instructions; BEGIN and END, or a fault. */
int32_t tm_ffi_pattern_room(int32_t len) { return len / 2 * 5 + 4; }

void tm_ffi_pattern_compile(const char *pattern, int32_t len, int32_t anchor, struct tm_pattern *program) {
  const char *zero = memchr(pattern, 0, (size_t)len);
  struct compiler c = {.p = (const unsigned char *)pattern, .out = program};
  c.end = zero != NULL ? (const unsigned char *)zero : c.p + len;
  anchor = anchor && c.p < c.end && *c.p == '^';
  put(&c, TM_OP_BEGIN, anchor);
  c.p += anchor;
  while (c.p < c.end && put_next(&c) == 0) {}
  put(&c, TM_OP_END, 0);
  program->byte2 = (uint8_t)c.captures;
  look_ahead(program, c.out);
}

int32_t tm_ffi_pattern_fault(const struct tm_pattern *program) {
  int open = 0;
  for (const struct tm_pattern *p = program; p->op != TM_OP_END; p += tm_pattern_size(p)) {
    if (p->op == TM_OP_FAULT) return p->byte;
    open += (p->op == TM_OP_OPEN) - (p->op == TM_OP_CLOSE);
  }
  return open > 0 ? TM_PATTERN_UNFINISHED : 0;
}

int32_t tm_ffi_pattern_is_plain(const char *pattern, int32_t len) {
  for (int32_t i = 0; i < len; i++)
    if (pattern[i] != 0 && strchr("^$*+?.([%-", pattern[i]) != NULL) return 0;
  return 1;
}
