/* msgpack_scan_avx2.c - the msgpack decoder for x86-64 with AVX2 and BMI (2013 and later).
 *
 * One compare of 32 bytes finds a step, one load tells whether a short text is ASCII. Compiled for its instruction set by
 * pragma: no flags in the Makefile, and called only where the processor has it. */
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

/* Headers with functions come first: they are compiled for the plain instruction set. */
#include "cell.h"
#include "json.h"
#include "msgpack_scanner.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,lzcnt,popcnt")
#endif

#define SCANNER tm_msgpack_scan_avx2

static inline __m256i load(const char *p) {
  return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

static inline int step_here(const char *p, const struct tm_json_step *step) {
  return (~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(load(p), load(step->text))) & step->mask) == 0;
}

static inline int not_ascii(const char *p, uint32_t n) {
  return _bzhi_u32((uint32_t)_mm256_movemask_epi8(load(p)), n) != 0;
}

#include "msgpack_scan.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#else
/* No scanner here on this architecture. */
extern int tm_msgpack_scan_avx2_absent;
#endif
