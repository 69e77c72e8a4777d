/* err.c - fills struct tm_err and stops on programming errors.
 *
 * An operating error travels as a value: the function that met it fills the caller's struct tm_err once, those
 * between hand it up, the one that handles it logs it once. Nothing is allocated, so an error can be reported
 * when memory is what is missing. A failed assertion writes straight to stderr and aborts: after it no
 * structure can be trusted, not even the log's. */
#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int tm_err_set(struct tm_err *err, int exit_code, const char *id, const char *fmt, ...) {
  va_list ap;

  if (err == NULL) return -1;
  err->id = id;
  err->exit_code = exit_code;
  va_start(ap, fmt);
  if (vsnprintf(err->detail, sizeof err->detail, fmt, ap) < 0) err->detail[0] = '\0';
  va_end(ap);
  return -1;
}

void tm_assert_failed(const char *cond, const char *file, int line, const char *func) {
  char text[512];
  int n = snprintf(text, sizeof text, "tidemill: assertion failed: %s (%s:%d, %s, process %ld)\n", cond, file, line,
                   func, (long)getpid());

  if (n >= (int)sizeof text) n = (int)sizeof text - 1;
  if (n > 0 && write(STDERR_FILENO, text, (size_t)n) < 0) _exit(134);
  abort();
}
