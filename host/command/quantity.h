/* quantity.h - durations, sizes and counts as people write them on the command line.
 *
 *   duration   250ms  1s  1m30s  2h  1d     a unit is needed: 1000 could be seconds or milliseconds
 *   size       4096  64K  16M  1G           powers of 1024
 *   count      100000                       digits alone
 *
 * Each returns 0 and the value, or -1 and in why a sentence's end for people, such as
 * "'1000' has no unit: write '1000ms' or '1000s'". Nothing is rounded and nothing overflows silently. */
#ifndef TM_COMMAND_QUANTITY_H
#define TM_COMMAND_QUANTITY_H

#include <stddef.h>
#include <stdint.h>

int tm_quantity_duration(const char *text, int64_t *ms, char *why, size_t why_size);
int tm_quantity_size(const char *text, int64_t *bytes, char *why, size_t why_size);
int tm_quantity_count(const char *text, int64_t *n, char *why, size_t why_size);

/* The shortest spelling that reads back as the value, for messages; out has 32 bytes. Returns out. */
const char *tm_quantity_duration_text(int64_t ms, char *out);
const char *tm_quantity_size_text(int64_t bytes, char *out);

#endif
