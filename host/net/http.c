/* http.c - reading the heads of HTTP/1.1 (http.h). Everything is looked at in the bytes as they came; nothing is allocated. */
#include "http.h"

#include <string.h>
#include <strings.h>

/* A line of the head: [from, from + n) without its CRLF. */
struct line {
  const char *from;
  int32_t n;
};

static int is_token(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* Bytes of the head with its empty line; 0: it is not all there; -1: there is a line that does not end in CRLF, or a byte no head has. */
static int32_t head_end(const char *text, int32_t n) {
  for (int32_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c == '\n') {
      if (i == 0 || text[i - 1] != '\r') return -1;
      if (i >= 3 && text[i - 2] == '\n') return i + 1;
    } else if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7F) {
      return -1;
    } else if (i > 0 && text[i - 1] == '\r') {
      return -1;
    }
  }
  return 0;
}

/* The line that begins at *at, which moves behind it. */
static struct line next_line(const char *text, int32_t *at) {
  const char *end = strstr(text + *at, "\r\n");
  struct line l = {text + *at, (int32_t)(end - (text + *at))};
  *at += l.n + 2;
  return l;
}

/* Decimal digits and nothing else; -1: other than that, or more than a body may have + 1. */
static int32_t number(const char *text, int32_t n) {
  int32_t v = 0;
  if (n == 0) return -1;
  for (int32_t i = 0; i < n; i++) {
    if (text[i] < '0' || text[i] > '9') return -1;
    v = v > TM_HTTP_BODY ? v : v * 10 + (text[i] - '0');
  }
  return v;
}

struct headers {
  int32_t length;     /* of the body; -1: not said */
  int hosts;
  int chunked;
};

/* One line "name: value": 0, or the status that refuses it. */
static int take_header(struct line l, struct headers *h) {
  int32_t name = 0, from, to = l.n;
  while (name < l.n && is_token(l.from[name])) name++;
  if (name == 0 || name == l.n || l.from[name] != ':') return 400;
  from = name + 1;
  while (from < to && (l.from[from] == ' ' || l.from[from] == '\t')) from++;
  while (to > from && (l.from[to - 1] == ' ' || l.from[to - 1] == '\t')) to--;
  if (name == 4 && strncasecmp(l.from, "host", 4) == 0) h->hosts++;
  if (name == 17 && strncasecmp(l.from, "transfer-encoding", 17) == 0) h->chunked = 1;
  if (name != 14 || strncasecmp(l.from, "content-length", 14) != 0) return 0;
  if (h->length >= 0) return 400;
  h->length = number(l.from + from, to - from);
  return h->length < 0 ? 400 : h->length > TM_HTTP_BODY ? 413 : 0;
}

/* All lines but the first: 0, or the status that refuses them. The head ends at `end`. */
static int take_headers(const char *text, int32_t at, int32_t end, struct headers *h) {
  *h = (struct headers){.length = -1};
  while (at < end - 2) {
    int refused = take_header(next_line(text, &at), h);
    if (refused != 0) return refused;
  }
  return h->chunked ? 501 : 0;
}

/* "POST /reload?x HTTP/1.1": 0, or the status that refuses it. */
static int take_request_line(struct line l, struct tm_http_request *r) {
  const char *space = memchr(l.from, ' ', (size_t)l.n), *last, *mark;
  if (space == NULL || space == l.from || space - l.from >= (int)sizeof r->method) return 400;
  for (const char *c = l.from; c < space; c++)
    if (!is_token(*c)) return 400;
  memcpy(r->method, l.from, (size_t)(space - l.from));
  r->method[space - l.from] = '\0';
  space++;
  last = memchr(space, ' ', (size_t)(l.from + l.n - space));
  if (last == NULL || *space != '/') return 400;
  if (last - space >= TM_HTTP_TARGET) return 431;
  mark = memchr(space, '?', (size_t)(last - space));
  const char *end = mark != NULL ? mark : last;
  memcpy(r->path, space, (size_t)(end - space));
  r->path[end - space] = '\0';
  size_t query = mark != NULL ? (size_t)(last - mark - 1) : 0;
  if (query > 0) memcpy(r->query, mark + 1, query);
  r->query[query] = '\0';
  last++;
  int32_t version = (int32_t)(l.from + l.n - last);
  if (version == 8 && memcmp(last, "HTTP/1.1", 8) == 0) return 0;
  return version == 8 && memcmp(last, "HTTP/", 5) == 0 ? 505 : 400;
}

int tm_http_request_read(const char *text, int32_t n, struct tm_http_request *r) {
  struct headers h;
  int32_t end = head_end(text, n < TM_HTTP_HEAD ? n : TM_HTTP_HEAD), at = 0;
  if (end < 0) return -400;
  if (end == 0) return n >= TM_HTTP_HEAD ? -431 : 0;
  int refused = take_request_line(next_line(text, &at), r);
  if (refused == 0) refused = take_headers(text, at, end, &h);
  if (refused == 0 && h.hosts != 1) refused = 400;
  if (refused != 0) return -refused;
  r->body_at = end;
  r->body_n = h.length < 0 ? 0 : h.length;
  return n - end >= r->body_n;
}

int tm_http_answer_read(const char *text, int32_t n, struct tm_http_answer *a) {
  struct headers h;
  int32_t end = head_end(text, n < TM_HTTP_HEAD ? n : TM_HTTP_HEAD), at = 0;
  if (end < 0) return -1;
  if (end == 0) return n >= TM_HTTP_HEAD ? -1 : 0;
  struct line l = next_line(text, &at);
  if (l.n < 13 || memcmp(l.from, "HTTP/1.1 ", 9) != 0 || l.from[12] != ' ') return -1;
  a->status = number(l.from + 9, 3);
  if (a->status < 100) return -1;
  h = (struct headers){.length = -1};
  while (at < end - 2) {
    int refused = take_header(next_line(text, &at), &h);
    if (refused != 0 && refused != 413) return -1;
  }
  if (h.length < 0 || h.chunked) return -1;
  a->body_at = end;
  a->body_n = h.length;
  return n - end >= a->body_n;
}

const char *tm_http_reason(int status) {
  static const struct { int status; const char *words; } reasons[] = {
    {200, "OK"}, {202, "Accepted"}, {400, "Bad Request"}, {404, "Not Found"}, {405, "Method Not Allowed"}, {408, "Request Timeout"},
    {409, "Conflict"}, {413, "Content Too Large"}, {431, "Request Header Fields Too Large"}, {500, "Internal Server Error"},
    {501, "Not Implemented"}, {503, "Service Unavailable"}, {505, "HTTP Version Not Supported"},
  };
  for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
    if (reasons[i].status == status) return reasons[i].words;
  return "Other";
}
