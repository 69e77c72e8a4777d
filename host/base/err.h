/* err.h - operating errors: a static id for programs, a sentence for people.
 * Functions that can fail return 0 or -1 and fill a struct tm_err owned by the caller. */
#ifndef TM_BASE_ERR_H
#define TM_BASE_ERR_H

struct tm_err {
  const char *id;     /* static, e.g. "file-open" */
  int exit_code;      /* what the program should end with, if it ends of it (api.md: exit codes) */
  char detail[768];   /* where, what was found, what was expected, what to do */
};

/* Fills err (which may be NULL) and returns -1, so that "return tm_err_set(...)" reads well. */
int tm_err_set(struct tm_err *err, int exit_code, const char *id, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Programming errors: stays on in every build, prints the condition and stops. */
#define TM_ASSERT(cond) ((cond) ? (void)0 : tm_assert_failed(#cond, __FILE__, __LINE__, __func__))
void tm_assert_failed(const char *cond, const char *file, int line, const char *func) __attribute__((noreturn));

#endif
