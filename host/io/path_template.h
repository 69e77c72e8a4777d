/* path_template.h - names of files made of a row's fields: out/{dt}/{hm}.csv
 *
 *   {f}            the row's field f; {{ and }} are braces
 *   in a value     letters and digits of ASCII and . _ : - stay, any other byte becomes %XX; a value of dots alone
 *                  has them escaped, so that nothing leads out of a folder
 *   absent, null   %null; an empty text %empty: no value gives these, as a % becomes %25
 *   long values    beyond 120 bytes end in ~ and 16 digits of a hash of the whole */
#ifndef TM_IO_PATH_TEMPLATE_H
#define TM_IO_PATH_TEMPLATE_H

#include "../abi_c.h"
#include "../base/err.h"

struct tm_path_template;

enum { TM_PATH_TEMPLATE_MAX = 4095 };

/* The fields it names become columns of b->fields. NULL and err (exit code 3): what is wrong with the text. */
struct tm_path_template *tm_path_template_new(const char *text, struct tm_fields *fields, struct tm_err *err);
void tm_path_template_free(struct tm_path_template *t);
/* The path of a row of a decoded batch: its length, NUL behind it; -1 longer than out. */
int32_t tm_path_template_make(const struct tm_path_template *t, const struct tm_batch *b, int32_t row, char *out, int32_t size);

#endif
