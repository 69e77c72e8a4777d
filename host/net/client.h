/* client.h - asks a server on a Unix socket (server.h) one thing, and waits for what it says. For commands. */
#ifndef TM_NET_CLIENT_H
#define TM_NET_CLIENT_H

#include "../base/buf.h"
#include "../base/err.h"

/* Sends method, target ("/status?all") and body (NULL: none) to the socket at the path; the answer's body goes to out, its status is
 * returned. -1 and err: nobody is there (exit code 5), or he went away before he answered. timeout_ms < 0: waits for ever. */
int tm_client_ask(const char *path, const char *method, const char *target, const char *body, int timeout_ms, struct tm_buf *out, struct tm_err *err);

#endif
