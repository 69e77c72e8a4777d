/* hash.c - digests of texts and HMAC (RFC 2104), as hexadecimal digits.
 *
 * MD5, SHA-1 and SHA-2 are OpenSSL's. Its library is loaded at the first use of one of them: linked, it would add 10 ms to every
 * start, for what few scripts use. Its configuration is never read. XXH3 is xxHash's (64 bits, seed 0), CRC-32 is zlib's. */
#include <dlfcn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include <zlib.h>

#include "../base/buf.h"
#include "hex.h"

enum { KINDS = TM_HASH_XXH3 };

#define TEXT_OF(x) #x
#define VERSION_TEXT(x) TEXT_OF(x)
static const char library[] = "libcrypto.so." VERSION_TEXT(OPENSSL_SHLIB_VERSION);

static struct {
  EVP_MD_CTX *context;      /* NULL: not loaded */
  EVP_MD *md[KINDS];        /* NULL: not asked for yet */
  __typeof__(EVP_MD_fetch) *fetch;
  __typeof__(EVP_DigestInit_ex) *init;
  __typeof__(EVP_DigestUpdate) *update;
  __typeof__(EVP_DigestFinal_ex) *final;
  __typeof__(EVP_MD_get_block_size) *block_size;
} openssl;

static void load(void) {
  static int tried;
  if (tried++ > 0) return;
  void *so = dlopen(library, RTLD_LAZY | RTLD_LOCAL);
  if (so == NULL) return;
  __typeof__(OPENSSL_init_crypto) *begin = dlsym(so, "OPENSSL_init_crypto");
  __typeof__(EVP_MD_CTX_new) *context_new = dlsym(so, "EVP_MD_CTX_new");
  openssl.fetch = dlsym(so, "EVP_MD_fetch");
  openssl.init = dlsym(so, "EVP_DigestInit_ex");
  openssl.update = dlsym(so, "EVP_DigestUpdate");
  openssl.final = dlsym(so, "EVP_DigestFinal_ex");
  openssl.block_size = dlsym(so, "EVP_MD_get_block_size");
  if (begin == NULL || context_new == NULL || openssl.fetch == NULL || openssl.init == NULL || openssl.update == NULL ||
      openssl.final == NULL || openssl.block_size == NULL)
    return;
  begin(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL);
  openssl.context = context_new();
}

/* The digest of that kind, ready; NULL: this machine has none, or there is no memory. */
static const EVP_MD *digest_of(int32_t kind) {
  static const char *const names[KINDS] = {"MD5", "SHA1", "SHA256", "SHA512"};
  if (openssl.context == NULL) load();
  if (openssl.context != NULL && openssl.md[kind] == NULL) openssl.md[kind] = openssl.fetch(NULL, names[kind], NULL);
  return openssl.md[kind];
}

/* of two texts, one behind the other: bytes of the digest, 0 failed */
static unsigned digest(const EVP_MD *md, const void *a, size_t a_len, const void *b, size_t b_len, unsigned char *out) {
  unsigned n = 0;
  EVP_MD_CTX *c = openssl.context;
  int ok = openssl.init(c, md, NULL) == 1 && openssl.update(c, a, a_len) == 1 && openssl.update(c, b, b_len) == 1 &&
           openssl.final(c, out, &n) == 1;
  return ok ? n : 0;
}

static int32_t number_put(uint64_t v, int32_t bytes, struct tm_buf *out) {
  unsigned char digits[8];
  for (int32_t i = 0; i < bytes; i++) digits[i] = (unsigned char)(v >> 8 * (bytes - 1 - i));
  return tm_hex_put(out, digits, bytes);
}

int32_t tm_ffi_hash(int32_t kind, const char *s, int32_t len, struct tm_buf *out) {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  out->len = 0;
  if (kind == TM_HASH_XXH3) return number_put(XXH3_64bits(s, (size_t)len), 8, out);
  if (kind == TM_HASH_CRC32) return number_put(crc32_z(0, (const unsigned char *)s, (size_t)len), 4, out);
  const EVP_MD *md = digest_of(kind);
  unsigned n = md == NULL ? 0 : digest(md, s, (size_t)len, "", 0, bytes);
  return n > 0 ? tm_hex_put(out, bytes, (int32_t)n) : -2;
}

int32_t tm_ffi_hmac(int32_t kind, const char *key, int32_t key_len, const char *s, int32_t len, struct tm_buf *out) {
  enum { BLOCK_MAX = 128 };
  unsigned char pad[BLOCK_MAX] = {0}, bytes[EVP_MAX_MD_SIZE];
  const EVP_MD *md = digest_of(kind);
  out->len = 0;
  if (md == NULL) return -2;
  int32_t block = openssl.block_size(md);
  if (block > BLOCK_MAX) return -2;
  if (key_len <= block) memcpy(pad, key, (size_t)key_len);
  else if (digest(md, key, (size_t)key_len, "", 0, pad) == 0) return -2;
  for (int32_t i = 0; i < block; i++) pad[i] ^= 0x36;
  unsigned n = digest(md, pad, (size_t)block, s, (size_t)len, bytes);
  for (int32_t i = 0; i < block; i++) pad[i] ^= 0x36 ^ 0x5c;
  if (n > 0) n = digest(md, pad, (size_t)block, bytes, n, bytes);
  return n > 0 ? tm_hex_put(out, bytes, (int32_t)n) : -2;
}
