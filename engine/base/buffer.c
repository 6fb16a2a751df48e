/* floor 0.2 - buffer: arrays and texts that grow. */
#include "buffer.h"

#include "memory.h"

#include <stdint.h>
#include <string.h>

void *pf_grow_block(void *block, size_t *capacity, size_t needed, size_t size, const char *what,
                    pf_error *error) {
    size_t wanted = *capacity < 32 ? 64 : *capacity * 2;
    if (wanted < needed) wanted = needed;
    void *grown = pf_realloc(block, wanted, size, what, error);
    if (grown) *capacity = wanted;
    return grown;
}

bool pf_buffer_put(pf_buffer *buffer, const char *bytes, size_t n, pf_error *error) {
    if (n > SIZE_MAX / 4 - buffer->n) return pf_fail(error, "the text is longer than memory");
    if (n == 0) return true;
    char *grown = pf_grow(buffer->bytes, &buffer->capacity, buffer->n + n, 1, "a text", error);
    if (!grown) return false;
    buffer->bytes = grown;
    memcpy(buffer->bytes + buffer->n, bytes, n);
    buffer->n += n;
    return true;
}
