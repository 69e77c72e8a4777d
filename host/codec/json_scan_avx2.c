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

#include "number_quick_avx2.h"

enum { STEP = 32 };

static const char low_bytes[32] ALIGNED = EVERY(0x20);
/* By low nibble: '"' and '\', elsewhere 0xFF, which no byte below 0x80 equals. */
static const char special_bytes[32] ALIGNED = {
    [0 ... 1] = -1,   [2] = '"',  [3 ... 11] = -1,  [12] = '\\', [13 ... 15] = -1,
    [16 ... 17] = -1, [18] = '"', [19 ... 27] = -1, [28] = '\\', [29 ... 31] = -1,
};

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
