/* owned.h - memory of what was made for the scripts that are loaded: it is given back all at once, when others have taken their place.
 *
 * What a plan is made of (overlays, filters, keys, buffers of the library) lives as long as the plan, and is made from Lua, which has no
 * place to free it. So each block is in a list, and a process that takes another one's place
 * frees all of it before it loads its own scripts. For one thread. */
#ifndef TM_BASE_OWNED_H
#define TM_BASE_OWNED_H

#include <stddef.h>

/* As malloc, calloc, realloc and free. */
void *tm_owned_malloc(size_t n);
void *tm_owned_calloc(size_t n, size_t size);
void *tm_owned_realloc(void *p, size_t n);
void tm_owned_free(void *p);
/* Called when all goes, before the blocks do, for what is held in other ways; the same one is called once. At most 8. */
void tm_owned_ending(void (*call)(void));
/* All of it goes: nothing uses it any more. */
void tm_owned_end(void);

#endif
