/* http.h - messages of HTTP/1.1 as the control socket speaks it: one head, a body of a known length, one message a connection.
 *
 *   POST /reload HTTP/1.1 CRLF            HTTP/1.1 409 Conflict CRLF
 *   Host: tidemill CRLF                   Content-Type: application/json CRLF
 *   Content-Length: 13 CRLF CRLF          Content-Length: 120 CRLF Connection: close CRLF CRLF
 *   {"back":true}                         {"error":"..."}
 *
 * RFC 9112 with its strict readings: lines end in CRLF, nothing is folded, a length is given once and in digits. Chunked bodies
 * are refused (501), as are other versions (505). Bounds: TM_HTTP_HEAD bytes of head (431), TM_HTTP_BODY of body (413). */
#ifndef TM_NET_HTTP_H
#define TM_NET_HTTP_H

#include <stdint.h>

enum { TM_HTTP_HEAD = 8192, TM_HTTP_BODY = 1 << 20, TM_HTTP_TARGET = 1024 };

struct tm_http_request {
  char method[16];
  char path[TM_HTTP_TARGET];     /* "/rules/diff": before any '?' */
  char query[TM_HTTP_TARGET];    /* behind it; empty: none */
  int32_t body_at, body_n;       /* where the body lies in the message */
};

struct tm_http_answer {
  int status;
  int32_t body_at, body_n;
};

/* Reads a message of which n bytes have come: 1 it is whole; 0 more has to come; below 0 it is refused, with minus the status that
 * says why (400, 413, 431, 501, 505). */
int tm_http_request_read(const char *text, int32_t n, struct tm_http_request *r);
/* The same of an answer; -1: it is none. */
int tm_http_answer_read(const char *text, int32_t n, struct tm_http_answer *a);
/* The words behind a status, such as "Not Found". */
const char *tm_http_reason(int status);

#endif
