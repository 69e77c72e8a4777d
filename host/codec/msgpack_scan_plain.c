/* msgpack_scan_plain.c - the msgpack decoder for every processor; on x86-64 with the vectors that all of them have. */
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "msgpack_scanner.h"

#define SCANNER tm_msgpack_scan_plain

/* Do the bytes at p equal the step's? Reads TM_JSON_STEP of them. */
static inline int step_here(const char *p, const struct tm_json_step *step) {
#ifdef __SSE2__
  const __m128i *at = (const __m128i *)(const void *)p, *text = (const __m128i *)(const void *)step->text;
  uint32_t low = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128(at), _mm_loadu_si128(text)));
  uint32_t other = ~low & 0xffff & step->mask;
  if (step->mask >> 16 == 0 || other != 0) return other == 0;
  uint32_t high = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128(at + 1), _mm_loadu_si128(text + 1)));
  return (~high & step->mask >> 16) == 0;
#else
  return memcmp(p, step->text, (size_t)(32 - __builtin_clz(step->mask))) == 0;
#endif
}

/* Is any of the n < 32 bytes at p not ASCII? */
static inline int not_ascii(const char *p, uint32_t n) {
#ifdef __SSE2__
  uint32_t low = (uint32_t)_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)p));
  if (n <= 16) return (low & ((UINT32_C(1) << n) - 1)) != 0;
  uint32_t high = (uint32_t)_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p + 16)));
  return ((low | high << 16) & ((UINT32_C(1) << n) - 1)) != 0;
#else
  unsigned char all = 0;
  for (uint32_t i = 0; i < n; i++) all |= (unsigned char)p[i];
  return all >= 0x80;
#endif
}

#include "msgpack_scan.h"
