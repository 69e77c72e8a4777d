/* record.h - checked records of msgpack: what meta, manifest and snapshots are made of.
 *
 *   94          array of 4
 *   a1 t        the type, one letter
 *   cf ........ offset, 64 bits
 *   ce ....     CRC32C of the 13 bytes before the four, the 5 behind them, and the body
 *   c6 .... body   bin, 32 bits of length                                  (numbers of msgpack are big-endian)
 *
 * Always this long form: 22 bytes in front of a body, so that places in a file can be computed; any reader of msgpack
 * reads it. Bodies that are maps are msgpack too, in the bytes. */
#ifndef TM_DURABLE_RECORD_H
#define TM_DURABLE_RECORD_H

#include <stdint.h>

enum { TM_RECORD_HEAD = 22, TM_RECORD_BODY_MAX = 1 << 20, TM_MAP_ROOM = 512 };

struct tm_record {
  char type;
  uint64_t offset;
  uint32_t crc;
  uint32_t length;                  /* of the body */
};

/* Writes the 22 bytes for a body. Returns the CRC in them. */
uint32_t tm_record_write(unsigned char *out, char type, uint64_t offset, const void *body, uint32_t length);
/* Reads 22 bytes: 1, or 0 they are none (a body over TM_RECORD_BODY_MAX too). The CRC is not looked at. */
int tm_record_read(const unsigned char *in, struct tm_record *r);
/* 1 when head and body are what was written. */
int tm_record_fits(const unsigned char *head, const struct tm_record *r, const void *body);

/* Maps of few entries, written into a buffer with room (a text and a key at most 64 bytes each). Each returns the place behind. */
unsigned char *tm_map_begin(unsigned char *p, int pairs);
unsigned char *tm_map_text(unsigned char *p, const char *key, const char *text);
unsigned char *tm_map_number(unsigned char *p, const char *key, uint64_t v);
unsigned char *tm_map_bytes(unsigned char *p, const char *key, const void *bytes, uint32_t n);
/* A key and the head of an array of n items, which the caller writes with tm_map_item. */
unsigned char *tm_map_array(unsigned char *p, const char *key, int n);
unsigned char *tm_map_item_array(unsigned char *p, int n);
unsigned char *tm_map_item(unsigned char *p, uint64_t v);

/* The value of a key in the map bytes[0, n): where it begins, or NULL. */
const unsigned char *tm_map_find(const unsigned char *bytes, int64_t n, const char *key);
/* An unsigned number: 1, or 0 there is none of that key. */
int tm_map_get_number(const unsigned char *bytes, int64_t n, const char *key, uint64_t *v);
int tm_map_get_bytes(const unsigned char *bytes, int64_t n, const char *key, const unsigned char **p, uint32_t *length);
/* 1 when the key's value is this text. */
int tm_map_has_text(const unsigned char *bytes, int64_t n, const char *key, const char *text);

#endif
