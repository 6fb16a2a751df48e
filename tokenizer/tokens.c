/* floor 3.0 - tokens: a growing array of ids. */
#include "tokens.h"

#include "buffer.h"
#include "memory.h"

bool pf_tokens_push(pf_tokens *tokens, int32_t id, pf_error *error) {
    int32_t *ids =
        pf_grow(tokens->ids, &tokens->capacity, tokens->count + 1, sizeof *ids, "token ids", error);
    if (!ids) return false;
    tokens->ids = ids;
    tokens->ids[tokens->count++] = id;
    return true;
}

void pf_tokens_free(pf_tokens *tokens) {
    pf_free(tokens->ids);
    *tokens = (pf_tokens){0};
}
