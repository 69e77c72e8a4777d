/* log.h - what the program says to people: lines on stderr.
 *
 *   tidemill: error: tx.ndjson: no such file
 *   tidemill: warning: ...
 *   tidemill: ...
 *
 * Each message is one write(2), so that lines of control and worker never mix. Control characters in it (they may
 * come from events) are shown as \xNN, newlines are kept. Too long ones end in "...". Never fails: with nowhere to
 * write, the message is lost. errno is kept. Safe in any process, not in a signal handler. */
#ifndef TM_BASE_LOG_H
#define TM_BASE_LOG_H

#include <stddef.h>

/* Colour: only on a terminal that knows it, and not with NO_COLOR set. Called once by main, before the first fork;
 * without it messages are plain. */
void tm_log_init(void);

/* No colour from here on: what is said goes to somebody else first. */
void tm_log_plain(void);

/* Without a newline at the end. */
void tm_log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void tm_log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void tm_log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Copies text so that it cannot steer a terminal: control characters but newline and tab as \xNN. out has 4 n bytes;
 * returns how many were used. */
size_t tm_log_clean(char *out, const char *text, size_t n);

/* Bytes as they are, in one write where the system takes them at once: tables, JSON, what scripts print. */
void tm_log_text(const char *text, size_t n);

#endif
