/* client.c - one message to a Unix socket and its answer (client.h). */
#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http.h"
#include "unix_path.h"

enum { UNREACHABLE = 5, PIECE = 64 << 10 };

static int64_t now_ms(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int connect_to(const char *path, struct tm_err *err) {
  struct sockaddr_un address;
  int folder, rc = tm_unix_path(path, &address, &folder), fd = -1;
  if (rc == 0 && (fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0) rc = -errno;
  if (rc == 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) rc = -errno;
  if (folder >= 0) close(folder);
  if (rc == 0) return fd;
  if (fd >= 0) close(fd);
  if (rc == -ENOENT) return tm_err_set(err, UNREACHABLE, "control", "%.400s: nothing is there: does a run use it?", path);
  if (rc == -ECONNREFUSED) return tm_err_set(err, UNREACHABLE, "control", "%.400s: nobody listens there: the run has ended", path);
  return tm_err_set(err, UNREACHABLE, "control", "%.400s: %s", path, strerror(-rc));
}

static int send_all(int fd, const char *text, size_t n) {
  while (n > 0) {
    ssize_t put = send(fd, text, n, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return -1;
    text += put;
    n -= (size_t)put;
  }
  return 0;
}

/* 1 whole, 0 it ended before, -1 the time is over. */
static int read_answer(int fd, int timeout_ms, struct tm_buf *in, struct tm_http_answer *a) {
  int64_t until = now_ms() + timeout_ms;
  for (;;) {
    int64_t left = timeout_ms < 0 ? -1 : until - now_ms();
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (timeout_ms >= 0 && left <= 0) return -1;
    int rc = poll(&p, 1, (int)left);
    if (rc < 0 && errno != EINTR) return 0;
    if (rc <= 0) continue;
    if (tm_buf_reserve(in, PIECE) != 0) return 0;
    ssize_t n = recv(fd, in->data + in->len, PIECE - 1, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return 0;
    in->len += (int32_t)n;
    in->data[in->len] = '\0';
    int got = tm_http_answer_read(in->data, in->len, a);
    if (got != 0) return got > 0;
  }
}

int tm_client_ask(const char *path, const char *method, const char *target, const char *body, int timeout_ms, struct tm_buf *out, struct tm_err *err) {
  char head[TM_HTTP_TARGET + 256];
  struct tm_http_answer a = {0};
  struct tm_buf in;
  size_t n = body != NULL ? strlen(body) : 0;
  int fd = connect_to(path, err), rc = -1;
  if (fd < 0) return -1;
  tm_buf_init(&in, 64 << 20);
  int head_n = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: tidemill\r\nContent-Length: %zu\r\n\r\n", method, target, n);
  TM_ASSERT(head_n < (int)sizeof head);
  int whole = send_all(fd, head, (size_t)head_n) == 0 && (n == 0 || send_all(fd, body, n) == 0) ? read_answer(fd, timeout_ms, &in, &a) : 0;
  if (whole < 0) tm_err_set(err, UNREACHABLE, "control", "%.400s: no answer within %d ms", path, timeout_ms);
  else if (whole == 0) tm_err_set(err, UNREACHABLE, "control", "%.400s: the run ended before it answered", path);
  else if (tm_buf_put(out, in.data + a.body_at, a.body_n) != 0) tm_err_set(err, 1, "memory", "no memory for the answer");
  else rc = a.status;
  tm_buf_fini(&in);
  close(fd);
  return rc;
}
