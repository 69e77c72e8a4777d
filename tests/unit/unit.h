/* unit.h - the few lines the C unit tests need: CHECK counts, unit_end reports "N passed, N failed, 0 skipped". */
#ifndef TM_TESTS_UNIT_H
#define TM_TESTS_UNIT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int unit_passed, unit_failed;

#define CHECK(cond, ...)                                                   \
  do {                                                                     \
    if (cond) {                                                            \
      unit_passed++;                                                       \
    } else {                                                               \
      unit_failed++;                                                       \
      fprintf(stderr, "%s:%d: failed: %s: ", __FILE__, __LINE__, #cond);   \
      fprintf(stderr, __VA_ARGS__);                                        \
      fputc('\n', stderr);                                                 \
    }                                                                      \
  } while (0)

static int unit_end(const char *name) {
  printf("%s: %d passed, %d failed, 0 skipped\n", name, unit_passed, unit_failed);
  return unit_failed != 0;
}

#endif
