/* fuzz_http.c - any bytes as a message of HTTP to the control socket: what is read lies within what came, and a prefix of a message that is
 * whole is never refused. */
#include "../../host/net/http.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct tm_http_request r, part;
  struct tm_http_answer a;
  if (size > 1 << 16) return 0;
  char *text = malloc(size + 1);
  if (text == NULL) return 0;
  memcpy(text, data, size);
  text[size] = '\0';
  if (tm_http_request_read(text, (int32_t)size, &r) == 1) {
    if (r.body_at < 0 || r.body_n < 0 || (size_t)r.body_at + (size_t)r.body_n > size) abort();
    if (strlen(r.path) + strlen(r.query) >= size || r.path[0] != '/') abort();
    for (int32_t n = 0; n < r.body_at; n += 1 + r.body_at / 16) {
      char kept = text[n];
      text[n] = '\0';
      if (tm_http_request_read(text, n, &part) != 0) abort();
      text[n] = kept;
    }
  }
  if (tm_http_answer_read(text, (int32_t)size, &a) == 1 && (size_t)a.body_at + (size_t)a.body_n > size) abort();
  free(text);
  return 0;
}
