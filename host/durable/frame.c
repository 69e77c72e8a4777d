/* frame.c - heads of segments and frames to bytes and back; frame.h draws them. */
#include "frame.h"

#include "../base/crc32c.h"
#include "bytes.h"

enum { VERSION = 1, CRC_AT = 60 };

static const unsigned char frame_magic[4] = { 't', 'm', 'J', 'f' };
static const unsigned char segment_magic[8] = { 't', 'm', 'J', 's', 'e', 'g', 'm', '\n' };

static int is_zero(const unsigned char *p, int n) {
  for (int i = 0; i < n; i++) {
    if (p[i] != 0) return 0;
  }
  return 1;
}

static int crc_fits(const unsigned char *in) {
  return tm_bytes_get32(in + CRC_AT) == tm_crc32c(0, in, CRC_AT);
}

void tm_frame_write(unsigned char *out, const struct tm_frame *f) {
  memset(out, 0, TM_FRAME_HEAD);
  memcpy(out, frame_magic, sizeof frame_magic);
  out[4] = VERSION;
  out[5] = (unsigned char)f->type;
  tm_bytes_put16(out + 6, f->flags);
  tm_bytes_put32(out + 8, f->length);
  tm_bytes_put32(out + 12, f->payload_crc);
  tm_bytes_put64(out + 16, f->sequence);
  tm_bytes_put64(out + 24, f->epoch);
  tm_bytes_put64(out + 32, f->durable_upto);
  tm_bytes_put64(out + 40, f->salt);
  tm_bytes_put64(out + 48, f->id);
  tm_bytes_put32(out + CRC_AT, tm_crc32c(0, out, CRC_AT));
}

int tm_frame_read(const unsigned char *in, struct tm_frame *f) {
  if (memcmp(in, frame_magic, sizeof frame_magic) != 0 || in[4] != VERSION || !is_zero(in + 56, 4) || !crc_fits(in)) return 0;
  f->type = in[5];
  f->flags = tm_bytes_get16(in + 6);
  f->length = tm_bytes_get32(in + 8);
  f->payload_crc = tm_bytes_get32(in + 12);
  f->sequence = tm_bytes_get64(in + 16);
  f->epoch = tm_bytes_get64(in + 24);
  f->durable_upto = tm_bytes_get64(in + 32);
  f->salt = tm_bytes_get64(in + 40);
  f->id = tm_bytes_get64(in + 48);
  if (f->length > TM_FRAME_PAYLOAD_MAX || f->sequence == 0) return 0;
  if (f->type == TM_FRAME_MARK) return f->length == 0 && f->flags == 0;
  return f->type == TM_FRAME_EPOCH && (f->flags & ~(unsigned)(TM_FRAME_FIRST | TM_FRAME_LAST)) == 0 && f->epoch > 0;
}

void tm_segment_head_write(unsigned char *out, const struct tm_segment_head *h) {
  memset(out, 0, TM_SEGMENT_HEAD);
  memcpy(out, segment_magic, sizeof segment_magic);
  tm_bytes_put32(out + 8, VERSION);
  tm_bytes_put64(out + 16, h->number);
  tm_bytes_put64(out + 24, h->id);
  tm_bytes_put64(out + 32, h->salt);
  tm_bytes_put32(out + CRC_AT, tm_crc32c(0, out, CRC_AT));
}

int tm_segment_head_read(const unsigned char *in, struct tm_segment_head *h) {
  if (memcmp(in, segment_magic, sizeof segment_magic) != 0 || tm_bytes_get32(in + 8) != VERSION || !is_zero(in + 12, 4) ||
      !is_zero(in + 40, 20) || !crc_fits(in))
    return 0;
  h->number = tm_bytes_get64(in + 16);
  h->id = tm_bytes_get64(in + 24);
  h->salt = tm_bytes_get64(in + 32);
  return 1;
}

size_t tm_frame_find(const unsigned char *bytes, size_t from, size_t n) {
  while (from + sizeof frame_magic <= n) {
    const unsigned char *p = memchr(bytes + from, frame_magic[0], n - from - sizeof frame_magic + 1);

    if (p == NULL) return n;
    if (memcmp(p, frame_magic, sizeof frame_magic) == 0) return (size_t)(p - bytes);
    from = (size_t)(p - bytes) + 1;
  }
  return n;
}
