/* floor 3.0 - stop texts: ends a text that comes in pieces before the first of some texts in it.
 *
 * The text is the same however it is cut into pieces: the stop text that is complete first counts,
 * of several that end at the same byte the longest. What may be the beginning of one is held back.
 */
#ifndef PF_STOP_TEXTS_H
#define PF_STOP_TEXTS_H

#include "buffer.h"

typedef struct pf_stop_texts {
    const char *const *texts; /* [n] borrowed */
    size_t *sizes;            /* [n] bytes */
    size_t n;
    pf_buffer text; /* what was held back, then the latest piece */
    size_t shown;   /* bytes of it that have been let through */
    bool found;
} pf_stop_texts;

/* The texts [n] to stop at, which must outlive *stop. An empty one, or one that is not UTF-8, is
 * refused. */
bool pf_stop_texts_start(pf_stop_texts *stop, const char *const *texts, size_t n, pf_error *error);
void pf_stop_texts_free(pf_stop_texts *stop);  /* may be zeroed */
void pf_stop_texts_again(pf_stop_texts *stop); /* for another text */

/* Adds a piece. *out [*n_out] is what can be shown now, valid until the next call. After
 * stop->found, add nothing more. */
bool pf_stop_texts_add(pf_stop_texts *stop, const char *piece, size_t n, const char **out,
                       size_t *n_out, pf_error *error);
/* The text ends: what is held back is no stop text. Sets *out [*n_out] like pf_stop_texts_add. */
void pf_stop_texts_end(pf_stop_texts *stop, const char **out, size_t *n_out);

#endif
