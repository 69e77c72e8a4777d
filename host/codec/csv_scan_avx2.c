/* csv_scan_avx2.c - the CSV decoder for x86-64 with AVX2 and BMI.
 *
 * The index is made 64 bytes at a time: a mask of delimiters and LFs, whose bits are written out as places, eight at once,
 * however many there are. Compiled for its instruction set by pragma, as json_scan_avx2.c. Loads reach at most 64 bytes
 * behind the piece. */
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

/* Headers with functions come first: they are compiled for the plain instruction set. */
#include "cell.h"
#include "csv_scanner.h"
#include "json_scanner.h"
#include "msgpack_bytes.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,lzcnt,popcnt")
#endif

#define SCANNER tm_csv_scanner_avx2

#include "number_quick_avx2.h"

enum { AT_ONCE = 8 };

static inline uint64_t both(__m256i low, __m256i high, __m256i byte) {
  return (uint64_t)mask_of(_mm256_cmpeq_epi8(low, byte)) | (uint64_t)mask_of(_mm256_cmpeq_epi8(high, byte)) << 32;
}

/* The places of a mask's bits, to `out`, which has room for more than there are; returns their number. */
static inline int32_t places(int32_t *out, uint64_t mask, int32_t from) {
  int32_t n = (int32_t)_mm_popcnt_u64(mask);
  for (int32_t k = 0;; k += AT_ONCE) {
    for (int32_t i = k; i < k + AT_ONCE; i++) {
      out[i] = from + (int32_t)_tzcnt_u64(mask);
      mask = _blsr_u64(mask);
    }
    if (__builtin_expect(k + AT_ONCE >= n, 1)) return n;
  }
}

static void index_piece(struct tm_csv_scan *s) {
  int none = s->delimiter == TM_CSV_NO_DELIMITER;
  const __m256i lf = _mm256_set1_epi8('\n');
  const __m256i delimiter = none ? lf : _mm256_set1_epi8(s->delimiter);
  const __m256i quote = none ? lf : _mm256_set1_epi8('"');
  __m256i seen = _mm256_setzero_si256();
  int32_t marks = 0, lines = 0, quotes = 0;
  for (int32_t i = 0; i < s->len; i += 64) {
    __m256i low = load(s->piece + i), high = load(s->piece + i + 32);
    uint64_t keep = s->len - i < 64 ? _bzhi_u64(~UINT64_C(0), (uint32_t)(s->len - i)) : ~UINT64_C(0);
    uint64_t ends = both(low, high, lf) & keep;
    uint64_t all = (both(low, high, delimiter) & keep) | ends;
    uint64_t q = both(low, high, quote) & keep & ~all;
    seen = _mm256_or_si256(seen, _mm256_or_si256(low, high));
    for (uint64_t m = ends;;) {
      s->lines[lines] = marks + (int32_t)_mm_popcnt_u64(all & (_blsi_u64(m) - 1));
      lines += m != 0;
      if (__builtin_expect((m = _blsr_u64(m)) == 0, 1)) break;
    }
    if (__builtin_expect(q != 0, 0)) quotes += places(s->quotes + quotes, q, i);
    marks += places(s->marks + marks, all, i);
  }
  s->quotes[quotes] = INT32_MAX;
  s->lines_n = lines;
  /* of what lies behind the piece, too: then rows are looked at once more */
  s->high = mask_of(seen) != 0;
}

#include "csv_scan.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#else
/* No scanner here on this architecture. */
extern int tm_csv_scan_avx2_absent;
#endif
