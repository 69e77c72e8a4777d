/* paths.h - from what a user named to files: patterns and folders are looked up once, when a run starts.
 *
 *   a path that exists        that file, pipe or device; a folder: all regular files in it, hidden ones and those of folders
 *                             below left out
 *   one with * ? or [ in it   what matches (glob(7): a leading dot only where it is written, \ takes the magic away), but
 *                             not folders
 *   another                   itself, so that opening it tells what is wrong
 *
 * The list is in byte order of names. A file that patterns and folders name more than once is read once; one that is named
 * twice by itself, twice. What such a name leads to may be unreadable or may vanish: that is for who opens it to tell. */
#ifndef TM_IO_PATHS_H
#define TM_IO_PATHS_H

#include <stdint.h>

#include "../abi_c.h"
#include "../base/err.h"

enum { TM_PATHS_MAX = 1000000 };  /* files of one source */

/* How an entry came into the list: its first byte, in front of the path. */
enum { TM_PATH_NAMED = '=', TM_PATH_FOUND = '*' };

/* Appends the files to out, an entry each: how it came, the path, NUL. *files is their number. 0, or -1 and err (exit code
 * 3) when a pattern or folder leads to no file, or cannot be read. */
int tm_paths_find(char *const *given, int32_t n, struct tm_buf *out, int32_t *files, struct tm_err *err);
/* May all be read? 0, or -1 and err (exit code 3), which names the first of those that may not and counts the rest. */
int tm_paths_readable(char *const *paths, int32_t n, struct tm_err *err);

#endif
