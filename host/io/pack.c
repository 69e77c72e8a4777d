/* pack.c - pieces of text, compressed (pack.h). The compressors are made at the first piece and used again for each. */
#include "pack.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum { GZIP_LEVEL = 6, GZIP_WRAPPED = 15 + 16, GZIP_MEMORY = 8, GZIP_MORE = 64, ZSTD_LEVEL = 3 };

size_t tm_pack_bound(enum tm_pack_kind kind, size_t n) {
  return kind == TM_PACK_ZSTD ? ZSTD_compressBound(n) : compressBound((uLong)n) + GZIP_MORE;
}

static int32_t pack_gzip(char *to, size_t room, const char *from, int32_t n) {
  static z_stream z;
  static int made;
  if (!made && deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, GZIP_WRAPPED, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) return -1;
  if (made) deflateReset(&z);
  made = 1;
  z.next_in = (z_const Bytef *)(uintptr_t)from;
  z.avail_in = (uInt)n;
  z.next_out = (Bytef *)to;
  z.avail_out = (uInt)room;
  if (deflate(&z, Z_FINISH) != Z_STREAM_END) return -1;
  return (int32_t)(room - z.avail_out);
}

static int32_t pack_zstd(char *to, size_t room, const char *from, int32_t n) {
  static ZSTD_CCtx *c;
  if (c == NULL) {
    c = ZSTD_createCCtx();
    if (c == NULL) return -1;
    ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
  }
  size_t got = ZSTD_compress2(c, to, room, from, (size_t)n);
  return ZSTD_isError(got) ? -1 : (int32_t)got;
}

int32_t tm_pack(enum tm_pack_kind kind, char *to, size_t room, const char *from, int32_t n) {
  return kind == TM_PACK_ZSTD ? pack_zstd(to, room, from, n) : pack_gzip(to, room, from, n);
}
