/* suggest.h - "did you mean": the name in a list that a mistyped word was probably meant to be.
 *
 * Distance is Damerau's and Levenshtein's, unrestricted (insert, delete, replace, swap neighbours: one each);
 * letters that differ in case only cost nothing. For messages to people, never for decisions. */
#ifndef TM_BASE_SUGGEST_H
#define TM_BASE_SUGGEST_H

/* Edits from a to b, of their first 63 bytes. */
int tm_suggest_distance(const char *a, const char *b);
/* The nearest of n names (the first of equally near ones), NULL if none is close: at most a third of the longer
 * one's letters differ, at least one may. A word of three or more letters that begins exactly one name means it. */
const char *tm_suggest(const char *word, const char *const *names, int n);

#endif
