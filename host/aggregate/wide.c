/* wide.c - exact arithmetic on sums of doubles and of their squares. */
#include "wide.h"

#include <math.h>
#include <string.h>

typedef unsigned __int128 u128;
enum { BITS = 32 };
static const int64_t LOW = 0xffffffff;

void tm_wide_zero(struct tm_wide *w) {
  memset(w, 0, sizeof *w);
  w->lo = TM_WIDE_DIGITS;
}

/* adds m * 2^e; m below 2^62 */
static void add_at(struct tm_wide *w, int64_t m, int e) {
  int at = e + BITS * TM_WIDE_UNIT, i = at / BITS;
  __int128 x = (__int128)m * ((int64_t)1 << (at % BITS));
  w->d[i] += (int64_t)x & LOW;
  w->d[i + 1] += (int64_t)(x >> BITS) & LOW;
  w->d[i + 2] += (int64_t)(x >> 2 * BITS);
  if (i < w->lo) w->lo = i;
  if (i + 3 > w->hi) w->hi = i + 3;
}

/* v = m * 2^e with m odd, or 0 */
static int64_t split(double v, int *e) {
  int64_t m = (int64_t)ldexp(frexp(v, e), 53);
  *e -= 53;
  if (m == 0) {
    *e = 0;
    return 0;
  }
  int zeros = __builtin_ctzll((uint64_t)m);
  *e += zeros;
  return m / ((int64_t)1 << zeros);
}

void tm_wide_add(struct tm_wide *w, double v) {
  int e;
  int64_t m = split(v, &e);
  if (m != 0) add_at(w, m, e);
}

static void add_product(struct tm_wide *w, double a, double b) {
  int ea, eb;
  __int128 p = (__int128)split(a, &ea) * split(b, &eb);
  const int64_t part = (int64_t)1 << 60;
  if (p == 0) return;
  add_at(w, (int64_t)(p % part), ea + eb);
  add_at(w, (int64_t)(p / part), ea + eb + 60);
}

void tm_wide_add_square(struct tm_wide *w, double hi, double lo, double sign) {
  add_product(w, hi * sign, hi);
  add_product(w, hi * sign, lo);
  add_product(w, lo * sign, hi);
  add_product(w, lo * sign, lo);
}

static void carry(struct tm_wide *w) {
  int64_t c = 0;
  for (int i = w->lo; i < w->hi; i++) {
    int64_t v = w->d[i] + c;
    w->d[i] = v & LOW;
    c = v >> BITS;
  }
  if (c != 0 && w->hi < TM_WIDE_DIGITS) w->d[w->hi++] = c;
}

int tm_wide_settle(struct tm_wide *w) {
  carry(w);
  int negative = w->hi > w->lo && w->d[w->hi - 1] < 0;
  if (negative) {
    for (int i = w->lo; i < w->hi; i++) w->d[i] = -w->d[i];
    carry(w);
  }
  while (w->hi > w->lo && w->d[w->hi - 1] == 0) w->hi--;
  while (w->hi > w->lo && w->d[w->lo] == 0) w->lo++;
  return negative;
}

/* A positive number: m * 2^e and something less than 2^e more where `more` is 1; m has its highest bit. */
struct leading {
  u128 m;
  int e, more;
};

static struct leading leading_of(const uint32_t *digit, int n, int e) {
  struct leading l = {0, e, 0};
  int i = n - 1, bits = 0;
  for (; i >= 0 && bits + BITS <= 128; i--, bits += BITS) l.m = l.m << BITS | digit[i];
  int room = __builtin_clzll((uint64_t)(l.m >> 64) | 1);
  if (l.m >> 64 == 0) room = 64 + __builtin_clzll((uint64_t)l.m | 1);
  l.m <<= room;
  l.e += BITS * (i + 1) - room;
  if (i >= 0 && room > 0) {   /* at most 31, as the first digit is not zero */
    l.m |= digit[i] >> (BITS - room);
    l.more = (uint32_t)(digit[i] << room) != 0;
    i--;
  }
  for (; i >= 0; i--) l.more |= digit[i] != 0;
  return l;
}

static double rounded(struct leading l) {
  uint64_t m = (uint64_t)(l.m >> 64);
  int e = l.e + 64, drop = 11, more = l.more || (uint64_t)l.m != 0;
  if (e + drop < -1074) drop = -1074 - e;
  if (drop > 64) return 0;
  uint64_t kept = drop == 64 ? 0 : m >> drop, rest = drop == 64 ? m : m & (((uint64_t)1 << drop) - 1);
  uint64_t half = (uint64_t)1 << (drop - 1);
  if (rest > half || (rest == half && (more || (kept & 1)))) kept++;
  return ldexp((double)kept, e + drop);
}

static struct leading leading_digits(const struct tm_wide *w) {
  uint32_t digit[TM_WIDE_DIGITS];
  for (int i = w->lo; i < w->hi; i++) digit[i - w->lo] = (uint32_t)w->d[i];
  return leading_of(digit, w->hi - w->lo, BITS * (w->lo - TM_WIDE_UNIT));
}

double tm_wide_round(const struct tm_wide *w) { return tm_wide_is_zero(w) ? 0 : rounded(leading_digits(w)); }

int tm_wide_integer(const struct tm_wide *w, u128 *out) {
  *out = 0;
  if (tm_wide_is_zero(w)) return 1;
  if (w->lo < TM_WIDE_UNIT || w->hi > TM_WIDE_UNIT + 4) return 0;
  for (int i = w->hi - 1; i >= TM_WIDE_UNIT; i--) *out = *out << BITS | (uint64_t)w->d[i];
  return *out >> 127 == 0;
}

void tm_wide_times(struct tm_wide *w, uint64_t n) {
  u128 c = 0;
  int i = w->lo;
  for (; i < w->hi || c != 0; i++) {
    c += (u128)(uint64_t)w->d[i] * n;
    w->d[i] = (int64_t)(uint64_t)c & LOW;
    c >>= BITS;
  }
  w->hi = i;
}

void tm_wide_minus_square(struct tm_wide *w, const struct tm_wide *v) {
  uint64_t square[TM_WIDE_DIGITS * 2] = {0};
  if (tm_wide_is_zero(v)) return;
  for (int i = v->lo; i < v->hi; i++) {
    uint64_t c = 0;
    for (int j = v->lo; j < v->hi; j++) {
      c += (uint64_t)v->d[i] * (uint64_t)v->d[j] + square[i + j];
      square[i + j] = c & (uint64_t)LOW;
      c >>= BITS;
    }
    square[i + v->hi] = c;
  }
  int lo = 2 * v->lo - TM_WIDE_UNIT, hi = 2 * v->hi - TM_WIDE_UNIT;
  for (int i = lo; i < hi; i++) w->d[i] -= (int64_t)square[i + TM_WIDE_UNIT];
  if (lo < w->lo) w->lo = lo;
  if (hi > w->hi) w->hi = hi;
}

static uint64_t root_of(u128 v) {
  long double guess = sqrtl((long double)v);
  uint64_t r = guess >= 18446744073709551615.0L ? UINT64_MAX : (uint64_t)guess;
  while ((u128)r * r > v) r--;
  while (r < UINT64_MAX && (u128)(r + 1) * (r + 1) <= v) r++;
  return r;
}

double tm_wide_ratio(const struct tm_wide *w, u128 by, int root) {
  enum { KEPT = 6 };   /* digits from the first that is not zero: 161 bits and more */
  uint32_t quotient[KEPT];
  u128 rest = 0;
  int n = 0, i = w->hi - 1;
  if (tm_wide_is_zero(w)) return 0;
  for (; n < KEPT; i--) {
    rest = rest << BITS | (i >= w->lo ? (uint64_t)w->d[i] : 0);
    uint32_t q = (uint32_t)(rest / by);
    rest %= by;
    if (n > 0 || q != 0) quotient[KEPT - 1 - n++] = q;
  }
  struct leading l = leading_of(quotient, KEPT, BITS * (i + 1 - TM_WIDE_UNIT));
  l.more |= rest != 0 || i >= w->lo;
  if (!root) return rounded(l);
  if (l.e % 2 != 0) {
    l.more |= (int)(l.m & 1);
    l.m >>= 1;
    l.e++;
  }
  uint64_t r = root_of(l.m);
  l.more |= (u128)r * r != l.m;
  return rounded((struct leading){(u128)r << 64, l.e / 2 - 64, l.more});
}
