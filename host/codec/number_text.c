/* number_text.c - doubles to text (number_text.h).
 *
 * Three ways to write, quickest first:
 *   integers below 2^53             digits, eight at a time
 *   few decimals (12.34)            the smallest k for which v * 10^k is an integer m < 2^51 and m / 10^k == v
 *   everything else                 Schubfach: 128-bit products with a table of powers of ten (number_powers.h)
 *
 * The second way gives the same digits as the third: with m < 2^51 neighbouring decimals of k places lie at least
 * two units in the last place of the double apart, so at most one of them, or of those with fewer places, reads
 * back to v; and the division is exact in what it decides, since m and 10^k are doubles without error. */
#include "number_text.h"

#include <string.h>

#include "number_powers.h"

static const double pow10_double[9] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};
static const uint64_t pow10_int[19] = {
    1ull,
    10ull,
    100ull,
    1000ull,
    10000ull,
    100000ull,
    1000000ull,
    10000000ull,
    100000000ull,
    1000000000ull,
    10000000000ull,
    100000000000ull,
    1000000000000ull,
    10000000000000ull,
    100000000000000ull,
    1000000000000000ull,
    10000000000000000ull,
    100000000000000000ull,
    1000000000000000000ull};

static inline uint64_t double_bits(double v) {
  uint64_t u;
  memcpy(&u, &v, 8);
  return u;
}

/* ---- digits ---- */

/* n < 10^8 as eight digit values, the first in the lowest byte: halves, quarters and eighths at once */
static inline uint64_t digits_split(uint32_t n) {
  uint64_t x = (uint64_t)(n / 10000) | (uint64_t)(n % 10000) << 32;
  uint64_t q = ((x * 10486) >> 20) & 0x0000007f0000007fULL;
  x = q | (x - q * 100) << 16;
  q = ((x * 103) >> 10) & 0x000f000f000f000fULL;
  return q | (x - q * 10) << 8;
}

static inline void digits_store(char *p, uint64_t x) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  x = __builtin_bswap64(x);
#endif
  memcpy(p, &x, 8);
}

#define DIGITS_ZERO 0x3030303030303030ULL

static inline char *put_8(char *p, uint32_t n) {
  digits_store(p, digits_split(n) | DIGITS_ZERO);
  return p + 8;
}

/* n < 10^8 without leading zeros; stores 8 bytes */
static inline char *put_to_8(char *p, uint32_t n) {
  uint64_t x = digits_split(n);
  int skip = __builtin_ctzll(x | 1ull << 56) >> 3;
  digits_store(p, (x | DIGITS_ZERO) >> (8 * skip));
  return p + 8 - skip;
}

/* stores at most 7 bytes beyond what it returns */
static inline char *put_uint(char *p, uint64_t n) {
  if (n < 100000000u) return put_to_8(p, (uint32_t)n);
  uint64_t top = n / 100000000u;
  uint32_t low = (uint32_t)(n % 100000000u);
  if (top < 100000000u) return put_8(put_to_8(p, (uint32_t)top), low);
  p = put_to_8(p, (uint32_t)(top / 100000000u));
  return put_8(put_8(p, (uint32_t)(top % 100000000u)), low);
}

/* ---- shortest ---- */

struct decimal {
  uint64_t digits;
  int exp10;
};

/* floor(g * cp / 2^128) with the lowest bit set if anything was cut off */
static inline uint64_t round_to_odd(const uint64_t g[2], uint64_t cp) {
  unsigned __int128 x = (unsigned __int128)g[1] * cp;
  unsigned __int128 y = (unsigned __int128)g[0] * cp + (uint64_t)(x >> 64);
  return (uint64_t)(y >> 64) | ((uint64_t)y > 1);
}

/* Schubfach. v is finite, positive and no integer below 2^53; names follow the paper. */
static inline struct decimal shortest(uint64_t bits) {
  uint64_t fraction = bits & 0xfffffffffffffULL;
  int exponent = (int)(bits >> 52 & 0x7ff);
  uint64_t c = exponent != 0 ? fraction | 1ull << 52 : fraction;
  int q = exponent != 0 ? exponent - 1075 : -1074;
  uint64_t odd = c & 1;
  uint64_t closer = fraction == 0 && exponent > 1;
  int k = (q * 1262611 - (closer ? 524031 : 0)) >> 22;
  int h = q + ((-k * 1741647) >> 19) + 1;
  const uint64_t *g = tm_powers[-k - TM_POWERS_FIRST];
  uint64_t lower = round_to_odd(g, (4 * c - 2 + closer) << h) + odd;
  uint64_t vb = round_to_odd(g, (4 * c) << h);
  uint64_t upper = round_to_odd(g, (4 * c + 2) << h) - odd;
  uint64_t s = vb / 4;
  if (s >= 10) {
    uint64_t sp = s / 10;
    int below = lower <= 40 * sp;
    int above = 40 * sp + 40 <= upper;
    if (below != above) return (struct decimal){sp + (uint64_t)above, k + 1};
  }
  int below = lower <= 4 * s;
  int above = 4 * s + 4 <= upper;
  if (below != above) return (struct decimal){s + (uint64_t)above, k};
  uint64_t mid = 4 * s + 2;
  return (struct decimal){s + (uint64_t)(vb > mid || (vb == mid && (s & 1) != 0)), k};
}

static inline struct decimal zeros_strip(struct decimal d) {
  if (d.digits % 10 != 0) return d;
  if (d.digits % 100000000u == 0) d.digits /= 100000000u, d.exp10 += 8;
  if (d.digits % 10000 == 0) d.digits /= 10000, d.exp10 += 4;
  while (d.digits % 10 == 0) d.digits /= 10, d.exp10 += 1;
  return d;
}

static char *exponent_put(char *p, int e) {
  *p++ = 'e';
  if (e < 0) {
    *p++ = '-';
    e = -e;
  }
  return put_to_8(p, (uint32_t)e);
}

/* digits * 10^exp10, laid out as JavaScript does; digits has no trailing zero and at most 17 places */
static char *layout(char *p, struct decimal d) {
  char digits[32] = {0};
  int n = (int)(put_uint(digits, d.digits) - digits);
  int point = n + d.exp10;
  if (point > 0 && point <= 21) {
    memcpy(p, digits, 24);
    if (point >= n) {
      for (int i = n; i < point; i++) p[i] = '0';
      return p + point;
    }
    p[point] = '.';
    memcpy(p + point + 1, digits + point, 16);
    return p + n + 1;
  }
  if (point > -6 && point <= 0) {
    memcpy(p, "0.000000", 8);
    memcpy(p + 2 - point, digits, 24);
    return p + 2 - point + n;
  }
  *p++ = digits[0];
  if (n > 1) {
    *p++ = '.';
    memcpy(p, digits + 1, 16);
    p += n - 1;
  }
  return exponent_put(p, point - 1);
}

/* m / 10^k for k from 1 to 8 */
static inline char *point_put(char *p, uint64_t m, int k) {
  if (m < 100000000u && k < 8) {
    uint64_t x = digits_split((uint32_t)m);
    int skip = __builtin_ctzll(x | 1ull << (56 - 8 * k)) >> 3;
    x |= DIGITS_ZERO;
    digits_store(p, x >> (8 * skip));
    p += 8 - skip - k;
    *p = '.';
    digits_store(p + 1, x >> (64 - 8 * k));
  } else {
    p = put_uint(p, m / pow10_int[k]);
    *p = '.';
    digits_store(p + 1, digits_split((uint32_t)(m % pow10_int[k] * pow10_int[8 - k])) | DIGITS_ZERO);
  }
  return p + 1 + k;
}

/* a >= 1e-6, no integer: its text if up to 8 decimals are enough, else NULL */
static inline char *few_decimals(char *p, double a) {
  for (int k = 1; k <= 8; k++) {
    double t = a * pow10_double[k];
    if (t >= 0x1p51) return NULL;
    int64_t m = (int64_t)(t + 0.5);
    double r = (double)m;
    /* the subtraction keeps most tries from paying for a division */
    if (__builtin_fabs(t - r) > t * 0x1p-51 || r / pow10_double[k] != a) continue;
    return point_put(p, (uint64_t)m, k);
  }
  return NULL;
}

/* kept out of the caller, whose short ways need no saved registers */
static __attribute__((noinline)) char *general_put(char *p, uint64_t bits) {
  return layout(p, zeros_strip(shortest(bits)));
}

char *tm_number_write(char *out, double v) {
  uint64_t bits = double_bits(v);
  *out = '-';
  out += bits >> 63;
  double a = __builtin_fabs(v);
  if (a < 0x1p53) {
    int64_t i = (int64_t)a;
    if ((double)i == a) return put_uint(out, (uint64_t)i);
    char *end = a >= 1e-6 ? few_decimals(out, a) : NULL;
    if (end != NULL) return end;
  }
  return general_put(out, bits & 0x7fffffffffffffffULL);
}

int32_t tm_ffi_number_text(double v, char *out) {
  char text[TM_NUMBER_ROOM];
  if (!__builtin_isfinite(v)) return -2;
  int32_t n = (int32_t)(tm_number_write(text, v) - text);
  memcpy(out, text, (size_t)n);
  return n;
}

/* ---- a fixed number of decimals ---- */

/* c * 2^q for q up to 971, digit group by digit group */
static char *big_put(char *p, uint64_t c, int q) {
  uint32_t limb[34] = {0};
  int n = q / 32 + 3;
  unsigned __int128 shifted = (unsigned __int128)c << (q % 32);
  for (int i = 0; i < 3; i++) limb[q / 32 + i] = (uint32_t)(shifted >> (32 * i));
  uint32_t group[40];
  int groups = 0;
  do {
    uint64_t rest = 0;
    for (int i = n - 1; i >= 0; i--) {
      rest = rest << 32 | limb[i];
      limb[i] = (uint32_t)(rest / 100000000u);
      rest %= 100000000u;
    }
    group[groups++] = (uint32_t)rest;
    while (n > 0 && limb[n - 1] == 0) n--;
  } while (n > 0);
  p = put_to_8(p, group[--groups]);
  while (groups > 0) p = put_8(p, group[--groups]);
  return p;
}

static char *decimals_put(char *p, uint64_t fraction, int32_t digits) {
  char text[32];
  if (digits == 0) return p;
  *p++ = '.';
  /* a leading 1 keeps the zeros behind the point */
  if (digits < 18) {
    put_uint(text, fraction + pow10_int[digits]);
    memcpy(p, text + 1, 18);
  } else {
    put_uint(text, fraction / 10 + pow10_int[17]);
    memcpy(p, text + 1, 17);
    p[17] = (char)('0' + fraction % 10);
  }
  return p + digits;
}

char *tm_number_decimal(char *out, double v, int32_t digits) {
  uint64_t bits = double_bits(v);
  uint64_t fraction = bits & 0xfffffffffffffULL;
  int exponent = (int)(bits >> 52 & 0x7ff);
  uint64_t c = exponent != 0 ? fraction | 1ull << 52 : fraction;
  int q = exponent != 0 ? exponent - 1075 : -1074;
  *out = '-';
  out += bits >> 63;
  if (q >= 0) return decimals_put(big_put(out, c, q), 0, digits);
  int shift = -q;
  uint64_t whole = shift < 64 ? c >> shift : 0;
  uint64_t part = shift < 64 ? c & ((1ull << shift) - 1) : c;
  uint64_t rounded = 0;
  /* part * 10^digits < 2^113: from a shift of 114 on it is below a half */
  if (shift < 114) {
    unsigned __int128 product = (unsigned __int128)part * pow10_int[digits];
    unsigned __int128 half = (unsigned __int128)1 << (shift - 1);
    unsigned __int128 rest = product & (half + (half - 1));
    rounded = (uint64_t)(product >> shift);
    uint64_t odd = digits == 0 ? whole & 1 : rounded & 1;
    rounded += rest > half || (rest == half && odd != 0);
    if (rounded == pow10_int[digits]) {
      rounded = 0;
      whole++;
    }
  }
  return decimals_put(put_uint(out, whole), rounded, digits);
}
