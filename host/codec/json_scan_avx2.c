/* json_scan_avx2.c - the JSON decoder for x86-64 with AVX2 and BMI (2013 and later).
 *
 * One 32-byte step finds the end of most strings and numbers. Numbers are judged by bit masks of their digits and
 * dots, without branching on their length, sign or fraction, which vary from event to event and would be mispredicted.
 * Compiled for its instruction set by pragma: no flags in the Makefile, and called only where the processor has it.
 * Loads reach at most 64 bytes behind the byte that ends the scan. */
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

/* Headers with functions come first: they are compiled for the plain instruction set. */
#include "json.h"
#include "json_scanner.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,lzcnt,popcnt")
#endif

#define SCANNER tm_json_scanner_avx2
#define SCANNER_NAME "avx2"

enum { STEP = 32 };

/* A number, or its first 32 bytes: bit i of the masks is byte i. */
struct quick {
  int32_t end;      /* its length */
  int32_t digits;
  uint32_t minus;   /* 0 or 1 */
  uint32_t dots;    /* the mask of its point */
};

/* Constants in memory: gcc would rather build each of them anew, by two instructions at every use. */
#define EVERY(x) {[0 ... 31] = (x)}
#define ALIGNED __attribute__((aligned(32)))
static const char low_bytes[32] ALIGNED = EVERY(0x20);
static const char dot_bytes[32] ALIGNED = EVERY('.');
static const char digit_move[32] ALIGNED = EVERY(0x7F - '9');       /* '0'..'9' become the top ten signed values */
static const char digit_below[32] ALIGNED = EVERY(0x7F - 10);
/* By low nibble: '"' and '\', elsewhere 0xFF, which no byte below 0x80 equals. */
static const char special_bytes[32] ALIGNED = {
    [0 ... 1] = -1,   [2] = '"',  [3 ... 11] = -1,  [12] = '\\', [13 ... 15] = -1,
    [16 ... 17] = -1, [18] = '"', [19 ... 27] = -1, [28] = '\\', [29 ... 31] = -1,
};

static inline __m256i load(const char *p) {
  return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

static inline __m256i fixed(const char *bytes) {
  __asm__("" : "+r"(bytes));
  return _mm256_load_si256((const __m256i *)(const void *)bytes);
}

static inline uint32_t mask_of(__m256i v) {
  return (uint32_t)_mm256_movemask_epi8(v);
}

static inline int32_t stops(const char *p) {
  __m256i v = load(p);
  /* Signed: less than 0x20 are the controls and all bytes from 0x80. A shuffle takes 0 for the latter: never equal. */
  __m256i low = _mm256_cmpgt_epi8(fixed(low_bytes), v);
  __m256i special = _mm256_cmpeq_epi8(_mm256_shuffle_epi8(fixed(special_bytes), v), v);
  return (int32_t)_tzcnt_u32(mask_of(_mm256_or_si256(low, special)));
}

static inline int step_here(const char *p, const struct tm_json_step *step) {
  __m256i same = _mm256_cmpeq_epi8(load(p), _mm256_loadu_si256((const __m256i *)(const void *)step->text));
  return (~mask_of(same) & step->mask) == 0;
}

static inline int quick_read(const char *p, struct quick *q) {
  __m256i v = load(p);
  uint32_t digits = mask_of(_mm256_cmpgt_epi8(_mm256_add_epi8(v, fixed(digit_move)), fixed(digit_below)));
  uint32_t dots = mask_of(_mm256_cmpeq_epi8(v, fixed(dot_bytes)));
  uint32_t minus = *p == '-';
  uint32_t end = _tzcnt_u32(~(digits | dots | minus));
  uint32_t from_first = digits >> minus;
  dots = _bzhi_u32(dots, end);
  /* It begins and ends with a digit, has at most one point, and no digit behind a leading zero. */
  uint32_t bad = _blsr_u32(dots) | (~from_first & 1) | (~(digits >> ((end - 1) & 31)) & 1);
  bad |= (uint32_t)(p[minus] == '0') & from_first >> 1;
  q->end = (int32_t)end;
  q->digits = (int32_t)(end - minus - (dots != 0));
  q->minus = minus;
  q->dots = dots;
  return bad == 0;
}

/* Digits, right-aligned in 16 bytes by one shuffle that also drops the point, then summed in pairs. */
static inline double quick_value(const char *p, const struct quick *q) {
  static const int8_t order[32] = {-112, -112, -112, -112, -112, -112, -112, -112, -112, -112, -112,
                                   -112, -112, -112, -112, -112, 0,    1,    2,    3,    4,    5,
                                   6,    7,    8,    9,    10,   11,   12,   13,   14,   15};
  int32_t len = q->end - (int32_t)q->minus;
  int32_t point = q->dots ? (int32_t)_tzcnt_u32(q->dots) - (int32_t)q->minus + 1 : 0;
  __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + q->minus));
  __m128i at = _mm_loadu_si128((const __m128i *)(const void *)(order + len));
  at = _mm_add_epi8(at, _mm_cmpgt_epi8(_mm_set1_epi8((char)point), at));
  v = _mm_shuffle_epi8(_mm_sub_epi8(v, _mm_set1_epi8('0')), at);
  v = _mm_maddubs_epi16(v, _mm_set_epi8(1, 10, 1, 10, 1, 10, 1, 10, 1, 10, 1, 10, 1, 10, 1, 10));
  v = _mm_madd_epi16(v, _mm_set_epi16(1, 100, 1, 100, 1, 100, 1, 100));
  v = _mm_packus_epi32(v, v);
  v = _mm_madd_epi16(v, _mm_set_epi16(1, 10000, 1, 10000, 1, 10000, 1, 10000));
  uint64_t halves = (uint64_t)_mm_cvtsi128_si64(v);
  uint64_t m = (halves & 0xFFFFFFFFu) * 100000000u + (halves >> 32);
  double d = (double)(int64_t)m / tm_json_pow10[point ? len - point : 0];
  uint64_t bits;
  memcpy(&bits, &d, sizeof bits);
  bits |= (uint64_t)q->minus << 63;
  memcpy(&d, &bits, sizeof d);
  return d;
}

static int32_t find_lines(const char *text, int32_t len, int32_t *at, int32_t max) {
  const __m256i lf = _mm256_set1_epi8('\n');
  int32_t n = 0;
  for (int32_t i = 0; i < len && n < max; i += 64) {
    uint64_t a = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(load(text + i), lf));
    uint64_t b = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(load(text + i + 32), lf));
    uint64_t m = a | b << 32;
    if (len - i < 64) m = _bzhi_u64(m, (uint32_t)(len - i));
    /* Written whether there is a LF or not: a branch on that is mispredicted once a line. */
    int32_t more = (int32_t)_mm_popcnt_u64(m);
    at[n] = i + (int32_t)_tzcnt_u64(m);
    for (int32_t k = 1; __builtin_expect(k < more, 0); k++) {
      m = _blsr_u64(m);
      at[n + k] = i + (int32_t)_tzcnt_u64(m);
    }
    n += more;
  }
  return n < max ? n : max;
}

#include "json_scan.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#else
/* No scanner here on this architecture. */
extern int tm_json_scan_avx2_absent;
#endif
