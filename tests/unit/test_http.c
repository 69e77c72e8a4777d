/* test_http.c - net/http.h: heads of RFC 9112 that are read, and those that are refused, with the status that the RFC names; every prefix of
 * a message asks for more, and no change of a byte does harm. */
#include "../../host/net/http.h"

#include "unit.h"

static int request(const char *text, struct tm_http_request *r) {
  memset(r, 0, sizeof *r);
  return tm_http_request_read(text, (int32_t)strlen(text), r);
}

static void test_read(void) {
  struct tm_http_request r;
  const char *post = "POST /reload?why=1 HTTP/1.1\r\nhost:tidemill\r\nContent-Length:  13 \r\nX-Empty:\r\n\r\n{\"back\":true}";
  CHECK(request(post, &r) == 1, "a whole message");
  CHECK(strcmp(r.method, "POST") == 0 && strcmp(r.path, "/reload") == 0 && strcmp(r.query, "why=1") == 0, "%s %s %s", r.method, r.path, r.query);
  CHECK(r.body_n == 13 && strcmp(post + r.body_at, "{\"back\":true}") == 0, "%d bytes of body", r.body_n);
  for (int32_t n = 0; n < (int32_t)strlen(post); n++) {
    char part[256];
    snprintf(part, sizeof part, "%.*s", n, post);
    CHECK(tm_http_request_read(part, n, &r) == 0, "the first %d bytes are not all of it", n);
  }
  CHECK(request("GET / HTTP/1.1\r\nHost: x\r\n\r\n", &r) == 1 && r.body_n == 0 && r.query[0] == '\0', "without a body");
}

static void test_refused(void) {
  static const struct { int status; const char *text; } cases[] = {
    {400, "GET / HTTP/1.1\nHost: x\r\n\r\n"},                                 /* a bare LF (2.2) */
    {400, "GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n"},                     /* obs-fold (5.2) */
    {400, "GET / HTTP/1.1\r\nHost : x\r\n\r\n"},                              /* blank before the colon (5.1) */
    {400, "GET / HTTP/1.1\r\n\r\n"},                                          /* no Host (3.2) */
    {400, "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"},                     /* two of them (3.2) */
    {400, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"},
    {400, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\nx"},
    {400, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n"},
    {413, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n"},
    {413, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n"},
    {501, "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {505, "GET / HTTP/1.0\r\nHost: x\r\n\r\n"},
    {400, "GET / FTP\r\nHost: x\r\n\r\n"},
    {400, "GET x HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "G(T / HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, " / HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET /\r\nHost: x\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: x\r\na\x01: b\r\n\r\n"},
    {400, "GET /\rX HTTP/1.1\r\nHost: x\r\n\r\n"},
  };
  struct tm_http_request r;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    CHECK(request(cases[i].text, &r) == -cases[i].status, "case %zu gives %d, not -%d", i, request(cases[i].text, &r), cases[i].status);
}

static void test_bounds(void) {
  struct tm_http_request r;
  static char text[2 * TM_HTTP_HEAD];
  memset(text, 'a', sizeof text - 1);
  memcpy(text, "GET /", 5);
  CHECK(tm_http_request_read(text, TM_HTTP_HEAD - 1, &r) == 0, "a head that may still end");
  CHECK(tm_http_request_read(text, TM_HTTP_HEAD, &r) == -431, "a head that is too long");
  memcpy(text + 5 + TM_HTTP_TARGET, " HTTP/1.1\r\nHost: x\r\n\r\n", 22 + 1);
  CHECK(request(text, &r) == -431, "a target that is too long");
}

static void test_bytes(void) {
  const char *post = "POST /r?a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
  size_t n = strlen(post);
  char *text = malloc(n + 1);
  struct tm_http_request r;
  int whole = 0;
  for (size_t i = 0; i < n; i++) {
    for (int b = 1; b < 256; b++) {
      memcpy(text, post, n + 1);
      text[i] = (char)b;
      int rc = tm_http_request_read(text, (int32_t)n, &r);
      if (rc > 0 && (r.body_at + r.body_n > (int32_t)n || strlen(r.path) >= TM_HTTP_TARGET)) whole = -1;
    }
  }
  CHECK(whole == 0, "a message with one other byte leads outside of it");
  free(text);
}

static void test_answer(void) {
  struct tm_http_answer a;
  const char *ok = "HTTP/1.1 409 Conflict\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
  CHECK(tm_http_answer_read(ok, (int32_t)strlen(ok), &a) == 1 && a.status == 409 && a.body_n == 2, "an answer");
  CHECK(tm_http_answer_read(ok, (int32_t)strlen(ok) - 1, &a) == 0, "without its last byte");
  const char *other = "SSH-2.0-OpenSSH_9.2\r\n\r\n";
  CHECK(tm_http_answer_read(other, (int32_t)strlen(other), &a) == -1, "another protocol");
}

int main(void) {
  test_read();
  test_refused();
  test_bounds();
  test_bytes();
  test_answer();
  return unit_end("http");
}
