/* quantity.c - reads and writes durations, sizes and counts.
 *
 * Plain digits and units, no locale, no fractions: '1.5s' is refused with the spelling that means it, because a
 * value that is silently rounded is one that somebody later looks for. */
#include "quantity.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct unit {
  const char *name;
  int64_t size;
};

/* largest first: the order in which a duration names them */
static const struct unit durations[] = {
  { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 },
};
static const struct unit sizes[] = { { "G", 1 << 30 }, { "M", 1 << 20 }, { "K", 1 << 10 } };

enum { DURATIONS_N = 5, SIZES_N = 3 };

static int fail(char *why, size_t why_size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int fail(char *why, size_t why_size, const char *fmt, ...) {
  va_list ap;

  va_start(ap, fmt);
  vsnprintf(why, why_size, fmt, ap);
  va_end(ap);
  return -1;
}

/* Reads digits: how many there are, or -1 if their value is beyond int64. */
static int digits(const char *text, int64_t *value) {
  int64_t v = 0;
  int n;

  for (n = 0; text[n] >= '0' && text[n] <= '9'; n++) {
    if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, text[n] - '0', &v)) return -1;
  }
  *value = v;
  return n;
}

int tm_quantity_duration(const char *text, int64_t *ms, char *why, size_t why_size) {
  const char *p = text;
  int64_t total = 0, v;
  int next = 0, n, i;

  while (*p != '\0' || p == text) {
    n = digits(p, &v);
    if (n < 0) return fail(why, why_size, "'%s' is too long a time", text);
    if (n == 0) return fail(why, why_size, "'%s' is no duration: write it as '250ms', '1s' or '1m30s'", text);
    p += n;
    if (*p == '\0' && p - n == text)
      return fail(why, why_size, "'%s' has no unit: write '%sms' or '%ss'", text, text, text);
    n = (int)strcspn(p, "0123456789");
    for (i = next; i < DURATIONS_N; i++) {
      if ((int)strlen(durations[i].name) == n && strncmp(durations[i].name, p, (size_t)n) == 0) break;
    }
    if (i == DURATIONS_N)
      return fail(why, why_size, "'%s' is no duration: whole numbers with the units d h m s ms, largest first, as in "
                  "'250ms', '1s' or '1m30s'", text);
    if (__builtin_mul_overflow(v, durations[i].size, &v) || __builtin_add_overflow(total, v, &total))
      return fail(why, why_size, "'%s' is too long a time", text);
    next = i + 1;
    p += n;
  }
  *ms = total;
  return 0;
}

int tm_quantity_size(const char *text, int64_t *bytes, char *why, size_t why_size) {
  int64_t v;
  int n = digits(text, &v), i;

  if (n < 0) return fail(why, why_size, "'%s' is too large", text);
  if (n > 0 && text[n] == '\0') {
    *bytes = v;
    return 0;
  }
  for (i = 0; n > 0 && i < SIZES_N; i++) {
    if (text[n] != sizes[i].name[0] || text[n + 1] != '\0') continue;
    if (__builtin_mul_overflow(v, sizes[i].size, bytes)) return fail(why, why_size, "'%s' is too large", text);
    return 0;
  }
  return fail(why, why_size, "'%s' is no size: write whole bytes, or '64K', '16M', '1G' (powers of 1024)", text);
}

int tm_quantity_count(const char *text, int64_t *n, char *why, size_t why_size) {
  int len = digits(text, n);

  if (len < 0) return fail(why, why_size, "'%s' is too large", text);
  if (len == 0 || text[len] != '\0')
    return fail(why, why_size, "'%s' is no count: write digits alone, as in '100000'", text);
  return 0;
}

const char *tm_quantity_duration_text(int64_t ms, char *out) {
  int i, n = 0;

  for (i = 0; i < DURATIONS_N && ms > 0; i++) {
    int64_t v = ms / durations[i].size;

    if (v > 0) n += snprintf(out + n, 32 - (size_t)n, "%lld%s", (long long)v, durations[i].name);
    ms %= durations[i].size;
  }
  if (n == 0) snprintf(out, 32, "0ms");
  return out;
}

const char *tm_quantity_size_text(int64_t bytes, char *out) {
  int i;

  for (i = 0; i < SIZES_N; i++) {
    if (bytes < sizes[i].size || bytes % sizes[i].size != 0) continue;
    snprintf(out, 32, "%lld%s", (long long)(bytes / sizes[i].size), sizes[i].name);
    return out;
  }
  snprintf(out, 32, "%lld", (long long)bytes);
  return out;
}
