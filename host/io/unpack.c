/* unpack.c - decoding gzip and zstd in memory that outlives a worker (unpack.h).
 *
 * zlib and libzstd get their memory from `live`, piece by piece, and give nothing back: it begins anew with each member
 * or frame. zstd is fed what it asks for, which is a block at a time, so that an error costs no text of blocks before. */
#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_createDStream_advanced */
#include "unpack.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "../base/err.h"

enum {
  LOG_BYTES = 8 << 20,
  READ_BYTES = 64 * 1024,
  COPY_AFTER = 1 << 20,      /* bytes of input between two copies at least, and at least four times what is copied */
  SMALL_BYTES = 256 * 1024,  /* of live, where address space is short */
  LIVE_MORE = 4 << 20,       /* of live, besides zstd's window */
  MAGIC = 4,
  GZIP_WRAPPED = 15 + 16     /* zlib's spelling of "a gzip member, any window" */
};

enum codec { BETWEEN = 0, GZIP, ZSTD };

/* The first bytes of live and of kept: all that decoding depends on. */
struct work {
  int64_t used;              /* bytes in use, these included */
  int64_t at;                /* bytes of the log decoded */
  int32_t codec;             /* enum codec; BETWEEN: the next bytes begin a member or frame */
  int32_t frames;            /* were begun */
  int32_t zeros;             /* behind the last one came zeros, which tapes pad with: nothing else may follow */
  int32_t full;              /* the last piece of text took all the room there was */
  int32_t magic_n;           /* bytes of `magic` known, and of these given to the decoder */
  int32_t magic_fed;
  unsigned char magic[MAGIC];
  int32_t pad;
  size_t hint;               /* zstd: bytes it wants next */
  z_stream z;
  ZSTD_DStream *d;
};

struct tm_unpack {
  struct work *live, *kept;
  int64_t live_size;
  int64_t base;              /* place in the input of the log's first byte */
  int64_t made;              /* bytes of text taken since the copy */
  int32_t len;               /* bytes in the log */
  int32_t copying;           /* live is whole and kept may not be */
  char log[LOG_BYTES];
};

static int64_t room_of(int64_t n) { return (n + 63) & ~(int64_t)63; }

int tm_unpack_recognize(const char *text, int32_t len) {
  static const struct { unsigned char magic[MAGIC], mask[MAGIC]; int32_t n; } known[] = {
    {{0x1F, 0x8B, 0x08}, {0xFF, 0xFF, 0xFF}, 3},                          /* RFC 1952 */
    {{0x28, 0xB5, 0x2F, 0xFD}, {0xFF, 0xFF, 0xFF, 0xFF}, 4},              /* RFC 8878 */
    {{0x50, 0x2A, 0x4D, 0x18}, {0xF0, 0xFF, 0xFF, 0xFF}, 4},              /* its skippable frames */
  };
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    int32_t k = 0;
    while (k < known[i].n && k < len && ((unsigned char)text[k] & known[i].mask[k]) == known[i].magic[k]) k++;
    if (k == known[i].n) return 1;
    if (k == len) return -1;
  }
  return 0;
}

/* ---- memory ---- */

size_t tm_unpack_size(int small) {
  size_t live = small ? SMALL_BYTES : ((size_t)1 << TM_UNPACK_WINDOW_LOG) + LIVE_MORE;
  return (size_t)room_of(sizeof(struct tm_unpack)) + 2 * live;
}

void tm_unpack_begin(struct tm_unpack *u, size_t size, const char *text, int32_t n) {
  size_t head = (size_t)room_of(sizeof *u);
  u->live_size = (int64_t)(size - head) / 2;
  u->live = (struct work *)(void *)((char *)u + head);
  u->kept = (struct work *)(void *)((char *)u->live + u->live_size);
  u->base = u->made = 0;
  u->copying = 0;
  memcpy(u->log, text, (size_t)n);
  u->len = n;
  *u->live = (struct work){.used = room_of(sizeof *u->live)};
  *u->kept = *u->live;
}

/* Memory for a decoder, from live; NULL: no more of it. */
static void *take(void *owner, size_t n) {
  struct tm_unpack *u = owner;
  int64_t at = u->live->used;
  if ((int64_t)n < 0 || (int64_t)n > u->live_size - at - 64) return NULL;
  u->live->used = at + room_of((int64_t)n);
  return (char *)u->live + at;
}

static void *take_items(void *owner, unsigned n, unsigned size) { return take(owner, (size_t)n * size); }

static void give_back(void *owner, void *p) {
  (void)owner;
  (void)p;
}

/* The log is decoded: from here on a death goes back to here. */
static void copy(struct tm_unpack *u, struct tm_undo *undo) {
  u->copying = 1;
  tm_undo_fence();
  memcpy(u->kept, u->live, (size_t)u->live->used);
  u->kept->at = 0;
  tm_undo_keep(undo, &u->base, offsetof(struct tm_unpack, log) - offsetof(struct tm_unpack, base));
  u->base += u->len;
  u->made = 0;
  u->len = u->copying = 0;
  tm_undo_done(undo);
  u->live->at = 0;
}

char *tm_unpack_end(struct tm_unpack *u) { return u->log + u->len; }

char *tm_unpack_room(struct tm_unpack *u, struct tm_undo *undo, int32_t *room) {
  TM_ASSERT(u->live->at == u->len);
  if (LOG_BYTES - u->len < READ_BYTES || (u->len >= COPY_AFTER && u->len / 4 >= u->live->used)) copy(u, undo);
  *room = READ_BYTES;
  return tm_unpack_end(u);
}

void tm_unpack_fed(struct tm_unpack *u, struct tm_undo *undo, int32_t n) {
  tm_undo_keep(undo, &u->len, sizeof u->len);
  u->len += n;
}

void tm_unpack_took(struct tm_unpack *u, struct tm_undo *undo, int32_t made) {
  tm_undo_keep(undo, &u->made, sizeof u->made);
  u->made += made;
}

/* ---- decoding ---- */

static int broken(char why[TM_UNPACK_WHY], const char *what, const char *detail) {
  snprintf(why, TM_UNPACK_WHY, "%s%s%s%s", what, detail != NULL ? " (" : "", detail != NULL ? detail : "", detail != NULL ? ")" : "");
  return -1;
}

static const char no_memory[] = "no address space for its decoder";

static int begin_gzip(struct tm_unpack *u, char why[TM_UNPACK_WHY]) {
  struct work *w = u->live;
  w->z = (z_stream){.zalloc = take_items, .zfree = give_back, .opaque = u};
  if (inflateInit2(&w->z, GZIP_WRAPPED) != Z_OK) return broken(why, no_memory, NULL);
  w->codec = GZIP;
  return 1;
}

static int begin_zstd(struct tm_unpack *u, char why[TM_UNPACK_WHY]) {
  struct work *w = u->live;
  w->d = ZSTD_createDStream_advanced((ZSTD_customMem){take, give_back, u});
  if (w->d == NULL) return broken(why, no_memory, NULL);
  ZSTD_DCtx_setParameter(w->d, ZSTD_d_windowLogMax, TM_UNPACK_WINDOW_LOG);
  w->hint = MAGIC;
  w->codec = ZSTD;
  return 1;
}

/* Between two frames: what begins there? 1 a decoder is at work, 0 more bytes are needed, -1 why. */
static int begin_frame(struct tm_unpack *u, char why[TM_UNPACK_WHY]) {
  struct work *w = u->live;
  if (w->frames > 0 && w->magic_n == 0)
    for (; w->at < u->len && u->log[w->at] == 0; w->at++) w->zeros = 1;
  if (w->zeros && w->at < u->len) return broken(why, "bytes that are not compressed behind the end of what is", NULL);
  while (w->magic_n < MAGIC && w->at < u->len) w->magic[w->magic_n++] = (unsigned char)u->log[w->at++];
  if (w->magic_n < MAGIC) return 0;
  if (tm_unpack_recognize((const char *)w->magic, MAGIC) != 1) {
    w->at -= MAGIC;
    return broken(why, "bytes that are not compressed behind the end of what is", NULL);
  }
  w->used = room_of(sizeof *w);
  w->frames++;
  w->magic_fed = 0;
  return w->magic[0] == 0x1F ? begin_gzip(u, why) : begin_zstd(u, why);
}

static void end_frame(struct work *w) {
  w->codec = BETWEEN;
  w->magic_n = 0;
  w->full = 0;
}

/* Both decode what lies at `from`: the bytes they took, or -1. */
static int64_t step_gzip(struct work *w, const char *from, int64_t n, char *to, int32_t room, int32_t *made, char why[TM_UNPACK_WHY]) {
  w->z.next_in = (z_const Bytef *)(uintptr_t)from;
  w->z.avail_in = (uInt)n;
  w->z.next_out = (Bytef *)to;
  w->z.avail_out = (uInt)room;
  int rc = inflate(&w->z, Z_NO_FLUSH);
  *made = room - (int32_t)w->z.avail_out;
  w->full = w->z.avail_out == 0;
  int64_t used = n - w->z.avail_in;
  if (rc == Z_STREAM_END) {
    end_frame(w);
  } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
    if (*made == 0) return broken(why, "damaged gzip data", w->z.msg);
    w->full = 1;  /* the text before goes first; asked again, zlib says the same */
  }
  return used;
}

static int64_t step_zstd(struct work *w, const char *from, int64_t n, char *to, int32_t room, int32_t *made, char why[TM_UNPACK_WHY]) {
  if ((uint64_t)n > w->hint) n = (int64_t)w->hint;
  ZSTD_inBuffer in = {from, (size_t)n, 0};
  ZSTD_outBuffer out = {to, (size_t)room, 0};
  size_t rc = ZSTD_decompressStream(w->d, &out, &in);
  *made = (int32_t)out.pos;
  w->full = out.pos == out.size;
  if (ZSTD_getErrorCode(rc) == ZSTD_error_frameParameter_windowTooLarge)
    return broken(why, "this zstd frame needs a window of more than 128 MiB; decompress it outside: zstd -dc --long=31 FILE | tidemill ...", NULL);
  if (ZSTD_getErrorCode(rc) == ZSTD_error_memory_allocation) return broken(why, no_memory, NULL);
  if (ZSTD_isError(rc)) return broken(why, "damaged zstd data", ZSTD_getErrorName(rc));
  if (rc == 0) end_frame(w);
  else w->hint = rc;
  return (int64_t)in.pos;
}

int tm_unpack_make(struct tm_unpack *u, char *to, int32_t room, int32_t *made, char why[TM_UNPACK_WHY]) {
  struct work *w = u->live;
  *made = 0;
  for (;;) {
    if (w->codec == BETWEEN) {
      int rc = begin_frame(u, why);
      if (rc <= 0) return rc;
    }
    int magic = w->magic_fed < MAGIC;
    const char *from = magic ? (const char *)w->magic + w->magic_fed : u->log + w->at;
    int64_t n = magic ? MAGIC - w->magic_fed : u->len - w->at;
    if (n == 0 && !w->full) return 0;
    int64_t used = w->codec == GZIP ? step_gzip(w, from, n, to, room, made, why) : step_zstd(w, from, n, to, room, made, why);
    if (used < 0) return -1;
    if (magic) w->magic_fed += (int32_t)used;
    else w->at += used;
    if (*made > 0) return 1;
  }
}

int tm_unpack_pending(const struct tm_unpack *u) { return u->live->at < u->len || u->live->full; }

int tm_unpack_ended(const struct tm_unpack *u, char why[TM_UNPACK_WHY]) {
  const struct work *w = u->live;
  if (w->codec != BETWEEN) return broken(why, "the input ends in the middle of compressed data", NULL);
  if (w->magic_n > 0) return broken(why, "bytes that are not compressed behind the end of what is", NULL);
  return 0;
}

int64_t tm_unpack_at(const struct tm_unpack *u) { return u->base + u->live->at; }

/* ---- after a death ---- */

void tm_unpack_resume(struct tm_unpack *u, struct tm_undo *undo) {
  static char text[64 * 1024];
  char why[TM_UNPACK_WHY];
  if (u->copying) {
    copy(u, undo);
    return;
  }
  memcpy(u->live, u->kept, (size_t)u->kept->used);
  for (int64_t left = u->made; left > 0;) {
    int32_t made, room = left < (int64_t)sizeof text ? (int32_t)left : (int32_t)sizeof text;
    int rc = tm_unpack_make(u, text, room, &made, why);
    TM_ASSERT(rc == 1);
    left -= made;
  }
}
