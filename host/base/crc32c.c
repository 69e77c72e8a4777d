/* crc32c.c - CRC-32C in hardware and in tables.
 *
 * The instruction has a latency of three cycles and can start one a cycle: long runs are cut into three strands that are
 * computed side by side and put together by shifting two of them over the bytes of the others (a multiplication by x^(8n)
 * modulo the polynomial, done with tables made for the strand's length). */
#include "crc32c.h"

#include <pthread.h>
#include <string.h>

enum { POLYNOMIAL = 0x82f63b78, STRAND = 4096 };

static struct {
  uint32_t slice[8][256];       /* slice[k][b]: the value of byte b followed by k zero bytes */
  uint32_t shift[2][4][256];    /* a value's four bytes over one strand of zeros, over two */
  int hardware;
} tables;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The value over n more zero bytes, slowly. */
static uint32_t over_zeros(uint32_t crc, size_t n) {
  while (n-- > 0) crc = crc >> 8 ^ tables.slice[0][crc & 255];
  return crc;
}

static void tables_make(void) {
  for (uint32_t b = 0; b < 256; b++) {
    uint32_t c = b;
    for (int k = 0; k < 8; k++) c = c >> 1 ^ ((c & 1) != 0 ? (uint32_t)POLYNOMIAL : 0);
    tables.slice[0][b] = c;
  }
  for (int k = 1; k < 8; k++) {
    for (int b = 0; b < 256; b++) tables.slice[k][b] = over_zeros(tables.slice[k - 1][b], 1);
  }
  /* linear: of each of 32 bits by the slow way, of bytes by adding bits */
  for (int over = 0; over < 2; over++) {
    for (int i = 0; i < 4; i++) {
      for (int bit = 0; bit < 8; bit++)
        tables.shift[over][i][1 << bit] = over_zeros(UINT32_C(1) << (8 * i + bit), (size_t)STRAND << over);
      for (int b = 1; b < 256; b++)
        tables.shift[over][i][b] = tables.shift[over][i][b & (b - 1)] ^ tables.shift[over][i][b & -b];
    }
  }
#if defined __x86_64__
  tables.hardware = __builtin_cpu_supports("sse4.2") != 0;
#endif
}

static uint64_t load(const unsigned char *p) {
  uint64_t v;
  memcpy(&v, p, sizeof v);
  return v;
}

uint32_t tm_crc32c_portable(uint32_t crc, const void *bytes, size_t n) {
  const unsigned char *p = bytes;

  pthread_once(&once, tables_make);
  crc = ~crc;
  for (; n >= 8; n -= 8, p += 8) {
    uint64_t v = load(p) ^ crc;
    crc = 0;
    for (int i = 0; i < 8; i++) crc ^= tables.slice[7 - i][v >> 8 * i & 255];
  }
  while (n-- > 0) crc = crc >> 8 ^ tables.slice[0][(crc ^ *p++) & 255];
  return ~crc;
}

#if defined __x86_64__
static uint32_t shift(int over, uint32_t crc) {
  return tables.shift[over][0][crc & 255] ^ tables.shift[over][1][crc >> 8 & 255] ^
         tables.shift[over][2][crc >> 16 & 255] ^ tables.shift[over][3][crc >> 24];
}

__attribute__((target("sse4.2"))) uint32_t tm_crc32c_hardware(uint32_t crc, const void *bytes, size_t n) {
  const unsigned char *p = bytes;
  uint64_t a;

  pthread_once(&once, tables_make);
  a = (uint32_t)~crc;
  for (; n >= 3 * STRAND; n -= 3 * STRAND, p += 3 * STRAND) {
    uint64_t b = 0, c = 0;
    for (int i = 0; i < STRAND; i += 8) {
      a = __builtin_ia32_crc32di(a, load(p + i));
      b = __builtin_ia32_crc32di(b, load(p + STRAND + i));
      c = __builtin_ia32_crc32di(c, load(p + 2 * STRAND + i));
    }
    a = shift(1, (uint32_t)a) ^ shift(0, (uint32_t)b) ^ (uint32_t)c;
  }
  for (; n >= 8; n -= 8, p += 8) a = __builtin_ia32_crc32di(a, load(p));
  while (n-- > 0) a = __builtin_ia32_crc32qi((uint32_t)a, *p++);
  return ~(uint32_t)a;
}
#else
uint32_t tm_crc32c_hardware(uint32_t crc, const void *bytes, size_t n) {
  return tm_crc32c_portable(crc, bytes, n);
}
#endif

int tm_crc32c_has_hardware(void) {
  pthread_once(&once, tables_make);
  return tables.hardware;
}

uint32_t tm_crc32c(uint32_t crc, const void *bytes, size_t n) {
  pthread_once(&once, tables_make);
  return tables.hardware ? tm_crc32c_hardware(crc, bytes, n) : tm_crc32c_portable(crc, bytes, n);  /* not reached: a processor without the instruction */
}
