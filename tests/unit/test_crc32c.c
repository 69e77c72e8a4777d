/* test_crc32c.c - the values of RFC 3720, appendix B.4, and that both ways of computing agree at all lengths and places. */
#include "../../host/base/crc32c.h"

#include <string.h>

#include "unit.h"

static void test_published(void) {
  unsigned char data[48];
  memset(data, 0, 32);
  CHECK(tm_crc32c(0, data, 32) == 0x8A9136AAu, "another checksum");
  CHECK(tm_crc32c_portable(0, data, 32) == 0x8A9136AAu, "another checksum");
  memset(data, 0xFF, 32);
  CHECK(tm_crc32c(0, data, 32) == 0x62A8AB43u, "another checksum");
  CHECK(tm_crc32c_portable(0, data, 32) == 0x62A8AB43u, "another checksum");
  for (int i = 0; i < 32; i++) data[i] = (unsigned char)i;
  CHECK(tm_crc32c(0, data, 32) == 0x46DD794Eu, "another checksum");
  CHECK(tm_crc32c_portable(0, data, 32) == 0x46DD794Eu, "another checksum");
  for (int i = 0; i < 32; i++) data[i] = (unsigned char)(31 - i);
  CHECK(tm_crc32c(0, data, 32) == 0x113FDB5Cu, "another checksum");
  CHECK(tm_crc32c_portable(0, data, 32) == 0x113FDB5Cu, "another checksum");
  static const unsigned char read10[48] = {0x01, 0xC0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0, 0, 0, 0, 0x14, 0, 0, 0,
                                           0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02};
  CHECK(tm_crc32c(0, read10, 48) == 0xD9963A56u, "another checksum");
  CHECK(tm_crc32c_portable(0, read10, 48) == 0xD9963A56u, "another checksum");
}

/* The slow and obvious way: a bit at a time. */
static uint32_t slow(const unsigned char *p, size_t n) {
  uint32_t c = 0xFFFFFFFFu;
  for (size_t i = 0; i < n; i++) {
    c ^= p[i];
    for (int k = 0; k < 8; k++) c = (c & 1) != 0 ? (c >> 1) ^ 0x82F63B78u : c >> 1;
  }
  return ~c;
}

static void test_lengths(void) {
  unsigned char data[300];
  uint32_t x = 7;
  for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)((x = x * 1664525u + 1013904223u) >> 24);
  for (size_t from = 0; from < 9; from++)
    for (size_t n = 0; from + n <= sizeof data; n++) {
      uint32_t want = slow(data + from, n);
      CHECK(tm_crc32c(0, data + from, n) == want, "another checksum");
      CHECK(tm_crc32c_portable(0, data + from, n) == want, "another checksum");
      CHECK(tm_crc32c(tm_crc32c(0, data + from, n / 3), data + from + n / 3, n - n / 3) == want, "another checksum");
    }
}

int main(void) {
  test_published();
  test_lengths();
  return unit_end("crc32c");
}
