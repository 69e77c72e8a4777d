/* number_quick_avx2.h - numbers of up to 32 bytes in one step, for scanners compiled for AVX2.
 *
 * Included by json_scan_avx2.c and csv_scan_avx2.c behind their pragma, so that everything is inlined for that instruction
 * set. Loads reach at most 32 bytes from p on. */
#ifndef TM_CODEC_NUMBER_QUICK_AVX2_H
#define TM_CODEC_NUMBER_QUICK_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "json_scanner.h"

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
static const char dot_bytes[32] ALIGNED = EVERY('.');
static const char digit_move[32] ALIGNED = EVERY(0x7F - '9');       /* '0'..'9' become the top ten signed values */
static const char digit_below[32] ALIGNED = EVERY(0x7F - 10);

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

#endif
