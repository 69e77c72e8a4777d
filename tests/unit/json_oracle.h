/* json_oracle.h - reads the cases that json_oracle.py works out (see there), one line at a time.
 *
 * Every text handed to the code under test lies in memory of its exact size plus TM_PAD, so that a sanitizer sees
 * each byte read or written too many. Python is found in PATH; without it a test fails. */
#ifndef TM_TESTS_JSON_ORACLE_H
#define TM_TESTS_JSON_ORACLE_H

#include "../../host/base/buf.h"
#include "unit.h"

struct oracle {
  FILE *pipe;
  char *line;
  size_t size;
  char *rest;       /* of the line at hand */
  int cases;
};

/* runs the script beside the test's own source */
static inline void oracle_open(struct oracle *o, const char *kind, int seed, int count) {
  char command[1024];
  const char *slash = strrchr(__FILE__, '/');
  int folder = slash != NULL ? (int)(slash - __FILE__) : 1;
  snprintf(command, sizeof command, "python3 '%.*s/json_oracle.py' %s %d %d", folder, slash != NULL ? __FILE__ : ".",
           kind, seed, count);
  memset(o, 0, sizeof *o);
  o->pipe = popen(command, "r");
}

/* the next case; 0 at the end */
static inline int oracle_next(struct oracle *o) {
  if (o->pipe == NULL) return 0;
  ssize_t n = getline(&o->line, &o->size, o->pipe);
  if (n <= 0) return 0;
  if (o->line[n - 1] == '\n') o->line[n - 1] = 0;
  o->rest = o->line;
  o->cases++;
  return 1;
}

static inline void oracle_close(struct oracle *o, int cases_min) {
  int rc = o->pipe != NULL ? pclose(o->pipe) : -1;
  CHECK(rc == 0 && o->cases >= cases_min, "python3 json_oracle.py: status %d, %d cases", rc, o->cases);
  free(o->line);
}

/* the next field up to `stop` (spaces separate fields); NULL: no more */
static inline char *oracle_field(struct oracle *o, char stop) {
  char *start = o->rest;
  if (start == NULL) return NULL;
  char *end = strchr(start, stop);
  o->rest = end != NULL ? end + 1 : NULL;
  if (end != NULL) *end = 0;
  return start;
}

/* hex to bytes on the heap, TM_PAD bytes behind them; "-" is nothing */
static inline char *oracle_bytes(const char *hex, int32_t *len) {
  int32_t n = strcmp(hex, "-") == 0 ? 0 : (int32_t)(strlen(hex) / 2);
  char *bytes = malloc((size_t)n + TM_PAD);
  if (bytes == NULL) abort();
  memset(bytes + n, '7', TM_PAD);
  for (int32_t i = 0; i < n; i++) {
    unsigned value;
    sscanf(hex + 2 * i, "%2x", &value);
    bytes[i] = (char)value;
  }
  *len = n;
  return bytes;
}

/* a fixed buffer of exactly `cap` bytes and the pad */
static inline void exact_init(struct tm_buf *b, int32_t cap) {
  char *data = malloc((size_t)cap + TM_PAD);
  if (data == NULL) abort();
  tm_buf_init_fixed(b, data, cap);
}

#endif
