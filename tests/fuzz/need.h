/* need.h - what must be so for every input: the fuzzer ends, with the line, where it is not. */
#ifndef TM_FUZZ_NEED_H
#define TM_FUZZ_NEED_H

#include <stdio.h>
#include <stdlib.h>

#define NEED(cond) ((cond) ? (void)0 : need_failed(#cond, __FILE__, __LINE__))

static inline void need_failed(const char *cond, const char *file, int line) {
  fprintf(stderr, "%s: line %d: not so: %s\n", file, line, cond);
  abort();
}

#endif
