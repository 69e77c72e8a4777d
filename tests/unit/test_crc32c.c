/* test_crc32c.c - CRC-32C against the vectors of RFC 3720 (appendix B.4), the check value of the catalogue of parametrised
 * CRC algorithms ("123456789"), and a computation bit by bit; both ways, all lengths and alignments, cut anywhere. */
#include "../../host/base/crc32c.h"
#include "unit.h"

typedef uint32_t way(uint32_t crc, const void *bytes, size_t n);

static uint32_t slow(const unsigned char *p, size_t n) {
  uint32_t crc = 0xffffffff;

  while (n-- > 0) {
    crc ^= *p++;
    for (int k = 0; k < 8; k++) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
  }
  return ~crc;
}

static void vectors(const char *name, way *crc) {
  unsigned char b[48], zeros[32] = { 0 }, ones[32], up[32], down[32];
  /* RFC 3720 B.4: "An iSCSI - SCSI Read (10) Command PDU" */
  static const unsigned char command[48] = {
    0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0,
    0, 0, 0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0,
  };

  memset(ones, 0xff, sizeof ones);
  for (int i = 0; i < 32; i++) {
    up[i] = (unsigned char)i;
    down[i] = (unsigned char)(31 - i);
  }
  memcpy(b, command, sizeof b);
  CHECK(crc(0, zeros, 32) == 0x8a9136aa, "%s: zeros", name);
  CHECK(crc(0, ones, 32) == 0x62a8ab43, "%s: ones", name);
  CHECK(crc(0, up, 32) == 0x46dd794e, "%s: incrementing", name);
  CHECK(crc(0, down, 32) == 0x113fdb5c, "%s: decrementing", name);
  CHECK(crc(0, b, 48) == 0xd9963a56, "%s: read command", name);
  CHECK(crc(0, "123456789", 9) == 0xe3069283, "%s: check value", name);
  CHECK(crc(0, "", 0) == 0, "%s: nothing", name);
}

static void lengths(const char *name, way *crc) {
  enum { N = 70000 };
  unsigned char *p = malloc(N);
  uint64_t x = 88172645463325252u;
  int wrong = 0;

  for (int i = 0; i < N; i++) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    p[i] = (unsigned char)(x >> 32);
  }
  for (size_t at = 0; at < 9; at++) {
    for (size_t n = 0; n < 70; n++) wrong += crc(0, p + at, n) != slow(p + at, n);
    for (size_t n = 12270; n < 12310; n++) wrong += crc(0, p + at, n) != slow(p + at, n);
    wrong += crc(0, p + at, N - at) != slow(p + at, N - at);
  }
  CHECK(wrong == 0, "%s: %d of the lengths differ", name, wrong);
  uint32_t whole = slow(p, N);
  for (size_t cut = 0; cut < N; cut += 997) wrong += crc(crc(0, p, cut), p + cut, N - cut) != whole;
  CHECK(wrong == 0, "%s: %d cuts differ", name, wrong);
  free(p);
}

int main(void) {
  vectors("portable", tm_crc32c_portable);
  lengths("portable", tm_crc32c_portable);
  if (tm_crc32c_has_hardware()) {
    vectors("hardware", tm_crc32c_hardware);
    lengths("hardware", tm_crc32c_hardware);
  } else {
    fprintf(stderr, "test_crc32c: this processor has no SSE4.2: only the portable way is looked at\n");
  }
  vectors("chosen", tm_crc32c);
  return unit_end("test_crc32c");
}
