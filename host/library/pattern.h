/* pattern.h - a compiled string pattern, as its two files see it: pattern_compile.c writes instructions, pattern.c runs them.
 *
 * Lua's patterns have no alternatives, so most is known before any subject: which capture a parenthesis opens or
 * closes, whether %1 is there, which capture is left open. Lua tells faults when a match gets to them, never before;
 * so a fault is an instruction. Sets and classes are 256 bits. What Lua 5.1 says in its manual holds, with LuaJIT's
 * additions (%f, %g); a zero byte ends a pattern.
 *
 *   BEGIN | CHAR 'a' once | SET star | 32 bytes of bits | OPEN 0 | ANY minus | CLOSE 0 | END
 *     ahead ──>                 ahead ─────────────────────────────>
 */
#ifndef TM_LIBRARY_PATTERN_H
#define TM_LIBRARY_PATTERN_H

#include "../abi_c.h"

enum tm_pattern_op {
  TM_OP_BEGIN,     /* the first: byte 1: only where the search begins; byte2: captures there are */
  TM_OP_END,
  TM_OP_CHAR,      /* items: byte, or a set; times says how often */
  TM_OP_ANY,
  TM_OP_SET,
  TM_OP_OPEN,      /* byte: the capture */
  TM_OP_CLOSE,
  TM_OP_POSITION,
  TM_OP_BALANCE,   /* byte, byte2 */
  TM_OP_FRONTIER,  /* a set follows */
  TM_OP_AGAIN,     /* byte: the capture whose text is asked for again */
  TM_OP_LAST,      /* $ at the end */
  TM_OP_FAULT      /* byte: enum tm_pattern_fault */
};

enum tm_pattern_times { TM_TIMES_ONE, TM_TIMES_MAYBE, TM_TIMES_STAR, TM_TIMES_PLUS, TM_TIMES_MINUS };

enum { TM_PATTERN_SET_SIZE = 4 };  /* instructions that 32 bytes take */

_Static_assert(sizeof(struct tm_pattern) * TM_PATTERN_SET_SIZE == 32, "a set is 256 bits");

/* Does the pattern match somewhere in s? 1, 0; -1 it takes too many steps to say: far fewer than a script may take. For what is
 * asked of every line. */
int tm_pattern_is_in(const struct tm_pattern *program, const char *s, int32_t len);

static inline int tm_pattern_size(const struct tm_pattern *p) {
  return p->op == TM_OP_SET || p->op == TM_OP_FRONTIER ? 1 + TM_PATTERN_SET_SIZE : 1;
}

static inline int tm_pattern_in_set(const struct tm_pattern *p, uint8_t c) {
  return ((const uint8_t *)(p + 1))[c >> 3] >> (c & 7) & 1;
}

#endif
