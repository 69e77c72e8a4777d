/* log.c - messages on stderr, one write each.
 *
 * No stdio: its buffers would be shared halves after a fork, and its locks could be held by a process that died.
 * The message is formatted on the stack, cleaned, and written. */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MESSAGE_MAX = 4096, LINE_MAX_BYTES = 4 * MESSAGE_MAX + 64 };

static int colour;

void tm_log_init(void) {
  const char *term = getenv("TERM");
  const char *no = getenv("NO_COLOR");

  colour = (no == NULL || no[0] == '\0') && term != NULL && strcmp(term, "dumb") != 0 && isatty(STDERR_FILENO);
}

void tm_log_plain(void) { colour = 0; }

void tm_log_text(const char *text, size_t n) {
  int saved = errno;

  while (n > 0) {
    ssize_t put = write(STDERR_FILENO, text, n);

    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) break;
    text += put;
    n -= (size_t)put;
  }
  errno = saved;
}

/* U+0080..U+009F are control characters too; in UTF-8 they begin with C2. */
size_t tm_log_clean(char *out, const char *text, size_t n) {
  static const char hex[] = "0123456789abcdef";
  size_t i, k = 0;

  for (i = 0; i < n; i++) {
    unsigned char c = (unsigned char)text[i];
    int c1 = c == 0xC2 && i + 1 < n && (unsigned char)text[i + 1] >= 0x80 && (unsigned char)text[i + 1] < 0xA0;

    if (c1) c = (unsigned char)text[++i];
    if (!c1 && ((c >= 0x20 && c != 0x7F) || c == '\n' || c == '\t')) {
      out[k++] = (char)c;
      continue;
    }
    out[k++] = '\\';
    out[k++] = 'x';
    out[k++] = hex[c >> 4];
    out[k++] = hex[c & 15];
  }
  return k;
}

/* The length of text without the part of a UTF-8 character that was cut off at its end. */
static size_t whole_chars(const char *text, size_t n) {
  size_t i = n;

  while (i > 0 && n - i < 3 && ((unsigned char)text[i - 1] & 0xC0) == 0x80) i--;
  if (i > 0 && (unsigned char)text[i - 1] >= 0xC0) {
    unsigned char lead = (unsigned char)text[i - 1];
    size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;

    if (n - (i - 1) < want) return i - 1;
  }
  return n;
}

static void message(const char *label, const char *escape, const char *fmt, va_list ap) {
  char text[MESSAGE_MAX];
  char line[LINE_MAX_BYTES];
  int saved = errno;
  int put = vsnprintf(text, sizeof text, fmt, ap);
  int cut = put >= (int)sizeof text;
  size_t n;

  if (put < 0) return;
  n = cut ? whole_chars(text, sizeof text - 1) : (size_t)put;
  put = snprintf(line, sizeof line, "tidemill: %s%s%s", colour ? escape : "", label, colour && *label ? "\033[0m" : "");
  n = (size_t)put + tm_log_clean(line + put, text, n);
  if (cut) {
    memcpy(line + n, "...", 3);
    n += 3;
  }
  line[n++] = '\n';
  tm_log_text(line, n);
  errno = saved;
}

void tm_log_error(const char *fmt, ...) {
  va_list ap;

  va_start(ap, fmt);
  message("error: ", "\033[1;31m", fmt, ap);
  va_end(ap);
}

void tm_log_warning(const char *fmt, ...) {
  va_list ap;

  va_start(ap, fmt);
  message("warning: ", "\033[1;33m", fmt, ap);
  va_end(ap);
}

void tm_log_info(const char *fmt, ...) {
  va_list ap;

  va_start(ap, fmt);
  message("", "", fmt, ap);
  va_end(ap);
}
