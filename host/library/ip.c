/* ip.c - addresses of IPv4 and IPv6: what is one, its one spelling, and whether it lies in networks.
 *
 * IPv4 is four decimals without leading zeros; IPv6 is RFC 4291's text, written as RFC 5952 says. An IPv4 address inside
 * IPv6 (::ffff:1.2.3.4) lies where the IPv4 address lies. Zones (%eth0) are no part of an address. */
#include <stdio.h>
#include <stdlib.h>

#include "../base/buf.h"

enum { GROUPS = 8, TEXT_MAX = 64 };

/* An address as a number. version first, so that ranges of both sort into one list. */
struct address {
  int32_t version;          /* 4 or 6 */
  uint64_t high, low;       /* IPv4: in low alone */
};

static int is_digit(char c) { return c >= '0' && c <= '9'; }

static int32_t hex_value(char c) {
  if (is_digit(c)) return c - '0';
  c |= 32;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int v4_read(const char *s, int32_t len, uint32_t *v) {
  int32_t i = 0;
  *v = 0;
  for (int part = 0; part < 4; part++) {
    int32_t n = 0;
    if (part > 0 && (i >= len || s[i++] != '.')) return -1;
    int32_t from = i;
    for (; i < len && is_digit(s[i]) && i - from < 3; i++) n = n * 10 + (s[i] - '0');
    if (i == from || n > 255 || (s[from] == '0' && i - from > 1)) return -1;
    *v = *v << 8 | (uint32_t)n;
  }
  return i == len ? 0 : -1;
}

/* The groups of s, at most max: how many, -1 bad. The last may be an IPv4 address, which is two. */
static int groups_read(const char *s, int32_t len, int max, uint16_t *g) {
  int n = 0;
  for (int32_t i = 0; len > 0;) {
    int32_t from = i, v = 0, h;
    uint32_t v4;
    for (; i < len && i - from < 5 && (h = hex_value(s[i])) >= 0; i++) v = v << 4 | h;
    if (i < len && s[i] == '.' && n + 2 <= max && v4_read(s + from, len - from, &v4) == 0) {
      g[n++] = (uint16_t)(v4 >> 16);
      g[n++] = (uint16_t)v4;
      return n;
    }
    if (i == from || i - from > 4 || n == max) return -1;
    g[n++] = (uint16_t)v;
    if (i == len) return n;
    if (s[i++] != ':' || i == len) return -1;
  }
  return n;
}

static int v6_read(const char *s, int32_t len, struct address *a) {
  uint16_t g[GROUPS] = {0}, tail[GROUPS];
  const char *gap = memmem(s, (size_t)len, "::", 2);
  int32_t before = gap == NULL ? len : (int32_t)(gap - s);
  int n = groups_read(s, before, gap == NULL ? GROUPS : GROUPS - 1, g);
  if (n < 0 || (gap == NULL && n != GROUPS) || (gap != NULL && before > 0 && n == 0)) return -1;
  if (gap != NULL) {
    /* an IPv4 address ends the text: it cannot stand before the gap */
    if (before > 0 && memchr(s, '.', (size_t)before) != NULL) return -1;
    int m = groups_read(gap + 2, len - before - 2, GROUPS - 1 - n, tail);
    if (m < 0) return -1;
    for (int i = 0; i < m; i++) g[GROUPS - m + i] = tail[i];
  }
  a->version = 6;
  a->high = (uint64_t)g[0] << 48 | (uint64_t)g[1] << 32 | (uint64_t)g[2] << 16 | g[3];
  a->low = (uint64_t)g[4] << 48 | (uint64_t)g[5] << 32 | (uint64_t)g[6] << 16 | g[7];
  return 0;
}

static int address_read(const char *s, int32_t len, struct address *a) {
  uint32_t v4;
  if (len > 0 && len < TEXT_MAX && memchr(s, ':', (size_t)len) != NULL) return v6_read(s, len, a);
  if (v4_read(s, len, &v4) != 0) return -1;
  *a = (struct address){4, 0, v4};
  return 0;
}

static int is_mapped(const struct address *a) { return a->version == 6 && a->high == 0 && a->low >> 32 == 0xffff; }

/* as networks see it */
static int place_read(const char *s, int32_t len, struct address *a) {
  if (address_read(s, len, a) != 0) return -1;
  if (is_mapped(a)) *a = (struct address){4, 0, a->low & 0xffffffff};
  return 0;
}

static int32_t v6_write(const struct address *a, char *to) {
  uint16_t g[GROUPS];
  int best = -1, best_n = 1, n = 0;
  for (int i = 0; i < GROUPS; i++) {
    g[i] = (uint16_t)((i < 4 ? a->high : a->low) >> (48 - 16 * (i % 4)));
    n = g[i] == 0 ? n + 1 : 0;
    if (n > best_n) {
      best_n = n;
      best = i - n + 1;
    }
  }
  if (is_mapped(a))
    return snprintf(to, TEXT_MAX, "::ffff:%d.%d.%d.%d", g[6] >> 8, g[6] & 255, g[7] >> 8, g[7] & 255);
  int32_t len = 0;
  for (int i = 0; i < GROUPS; i++) {
    if (i == best) {
      to[len++] = ':';
      i += best_n - 1;
      if (i == GROUPS - 1) to[len++] = ':';
      continue;
    }
    if (i > 0) to[len++] = ':';
    len += snprintf(to + len, (size_t)(TEXT_MAX - len), "%x", g[i]);
  }
  return len;
}

int32_t tm_ffi_ip_parse(const char *s, int32_t len, struct tm_buf *out) {
  struct address a;
  char text[TEXT_MAX];
  out->len = 0;
  if (address_read(s, len, &a) != 0) return 0;
  int32_t n = a.version == 4 ? len : v6_write(&a, text);
  return tm_buf_put(out, a.version == 4 ? s : text, n) == 0 ? a.version : -1;
}

/* ---- networks ---- */

/* a range's last address, of a prefix of so many bits */
static void network_range(struct address a, int32_t bits, struct tm_ip_range *r) {
  uint64_t high = 0, low;   /* the bits behind the prefix */
  if (a.version == 4) {
    low = 0xffffffffULL >> bits;
  } else {
    high = bits >= 64 ? 0 : UINT64_MAX >> bits;
    low = bits <= 64 ? UINT64_MAX : bits == 128 ? 0 : UINT64_MAX >> (bits - 64);
  }
  *r = (struct tm_ip_range){a.version, 0, a.high & ~high, a.low & ~low, a.high | high, a.low | low};
}

int32_t tm_ffi_ip_network(const char *s, int32_t len, struct tm_ip_range *r) {
  const char *slash = memchr(s, '/', (size_t)len);
  int32_t n = slash == NULL ? len : (int32_t)(slash - s), bits = 0;
  struct address a;
  if (address_read(s, n, &a) != 0) return 0;
  int32_t max = a.version == 4 ? 32 : 128;
  if (slash == NULL) {
    bits = max;
  } else {
    int32_t i = n + 1;
    for (; i < len && is_digit(s[i]) && i - n <= 3; i++) bits = bits * 10 + (s[i] - '0');
    if (i == n + 1 || i < len || bits > max || (s[n + 1] == '0' && i > n + 2)) return 0;
  }
  if (is_mapped(&a) && bits >= 96) {
    a = (struct address){4, 0, a.low & 0xffffffff};
    bits -= 96;
  }
  network_range(a, bits, r);
  return 1;
}

static int compare(int32_t v, uint64_t high, uint64_t low, int32_t v2, uint64_t high2, uint64_t low2) {
  if (v != v2) return v < v2 ? -1 : 1;
  if (high != high2) return high < high2 ? -1 : 1;
  return low < low2 ? -1 : low > low2;
}

static int by_first(const void *a, const void *b) {
  const struct tm_ip_range *r = a, *s = b;
  return compare(r->version, r->first_high, r->first_low, s->version, s->first_high, s->first_low);
}

int32_t tm_ffi_ip_sort(struct tm_ip_range *r, int32_t n) {
  int32_t kept = 0;
  qsort(r, (size_t)n, sizeof *r, by_first);
  for (int32_t i = 0; i < n; i++) {
    struct tm_ip_range *last = kept > 0 ? &r[kept - 1] : NULL;
    if (last == NULL || compare(last->version, last->last_high, last->last_low, r[i].version, r[i].first_high, r[i].first_low) < 0) {
      r[kept++] = r[i];
    } else if (compare(6, last->last_high, last->last_low, 6, r[i].last_high, r[i].last_low) < 0) {
      last->last_high = r[i].last_high;
      last->last_low = r[i].last_low;
    }
  }
  return kept;
}

int32_t tm_ffi_ip_within(const char *s, int32_t len, const struct tm_ip_range *r, int32_t n) {
  struct address a;
  if (place_read(s, len, &a) != 0) return -1;
  int32_t low = 0, high = n;   /* ranges that begin at or before it */
  while (low < high) {
    int32_t mid = (low + high) / 2;
    if (compare(r[mid].version, r[mid].first_high, r[mid].first_low, a.version, a.high, a.low) <= 0) low = mid + 1; else high = mid;
  }
  if (low == 0 || r[low - 1].version != a.version) return 0;
  return compare(6, a.high, a.low, 6, r[low - 1].last_high, r[low - 1].last_low) <= 0;
}
