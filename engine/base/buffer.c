/* floor 0.2 - buffer: a text being written. */
#include "buffer.h"

#include "memory.h"

#include <stdint.h>
#include <string.h>

bool pf_buffer_put(pf_buffer *buffer, const char *bytes, size_t n, pf_error *error) {
    if (n > SIZE_MAX / 4 - buffer->n) return pf_fail(error, "the text is longer than memory");
    if (n == 0) return true;
    if (buffer->n + n > buffer->capacity) {
        size_t capacity = 2 * (buffer->n + n);
        char *grown = pf_realloc(buffer->bytes, capacity, 1, "a text", error);
        if (!grown) return false;
        buffer->bytes = grown;
        buffer->capacity = capacity;
    }
    memcpy(buffer->bytes + buffer->n, bytes, n);
    buffer->n += n;
    return true;
}
