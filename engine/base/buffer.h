/* floor 0.2 - buffer: a text being written. */
#ifndef PF_BUFFER_H
#define PF_BUFFER_H

#include "error.h"

#include <stddef.h>

/* Zero it first; free bytes with pf_free. */
typedef struct pf_buffer {
    char *bytes; /* NULL while nothing was put */
    size_t n, capacity;
} pf_buffer;

bool pf_buffer_put(pf_buffer *buffer, const char *bytes, size_t n, pf_error *error);

#endif
