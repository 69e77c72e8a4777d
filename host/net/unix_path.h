/* unix_path.h - addresses of Unix sockets, whose names in the system hold 107 bytes, for paths of any length. */
#ifndef TM_NET_UNIX_PATH_H
#define TM_NET_UNIX_PATH_H

#include <sys/un.h>

/* Fills the address of a path; a longer one goes through its folder's descriptor, which the caller closes when the address has been
 * used (-1: there is none). 0, or -errno. */
int tm_unix_path(const char *path, struct sockaddr_un *out, int *folder);

#endif
