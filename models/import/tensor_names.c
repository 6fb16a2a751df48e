/* floor 4.0 - tensor names: a project's tensors under GGUF's names. */
#include "tensor_names.h"

#include "memory.h"

#include <stdio.h>
#include <string.h>

#define MAX_NAME 256
#define MAX_COUNT 65536 /* of layers or heads */

/* ---- names ---- */

bool pf_tensor_names_expand(const char *pattern, const char *slot, uint32_t number, char *text,
                            size_t size) {
    const char *at = strstr(pattern, slot);
    int written = at ? snprintf(text, size, "%.*s%u%s", (int)(at - pattern), pattern, number,
                                at + strlen(slot))
                     : snprintf(text, size, "%s", pattern);
    return written >= 0 && (size_t)written < size;
}

static const pf_tensor *find_full(const pf_tensor_names *names, const char *source) {
    char name[MAX_NAME];
    int n = snprintf(name, sizeof name, "%s%s", names->prefix, source);
    return n > 0 && (size_t)n < sizeof name ? pf_checkpoint_find(names->from, name) : NULL;
}

const pf_tensor *pf_tensor_names_find(const pf_tensor_names *names, const char *source) {
    return find_full(names, source);
}

/* The tensor `source` with number i in place of the slot, or NULL. */
static const pf_tensor *find_numbered(const pf_tensor_names *names, const char *source,
                                      const char *slot, uint32_t i) {
    char name[MAX_NAME];
    return pf_tensor_names_expand(source, slot, i, name, sizeof name) ? find_full(names, name)
                                                                      : NULL;
}

uint32_t pf_tensor_names_count(const pf_tensor_names *names, const char *source) {
    char first_head[MAX_NAME];
    uint32_t n = 0;
    if (!pf_tensor_names_expand(source, "{head}", 0, first_head, sizeof first_head)) return 0;
    while (n < MAX_COUNT && find_numbered(names, first_head, "{layer}", n)) n++;
    return n;
}

/* ---- beginning and end ---- */

bool pf_tensor_names_begin(pf_tensor_names *names, pf_checkpoint *from, const char *prefix,
                           pf_error *error) {
    *names = (pf_tensor_names){.from = from};
    names->to = pf_checkpoint_new(pf_checkpoint_path(from), error);
    names->used =
        pf_calloc(pf_checkpoint_n_tensors(from), sizeof *names->used, "the list of tensors", error);
    int n = snprintf(names->prefix, sizeof names->prefix, "%s", prefix);
    return names->to && names->used &&
           (((size_t)n < sizeof names->prefix) ||
            pf_fail(error, "the tensors' prefix \"%.40s...\" is too long", prefix));
}

void pf_tensor_names_abort(pf_tensor_names *names) {
    pf_checkpoint_free(names->to);
    pf_checkpoint_free(names->from);
    pf_free(names->used);
    *names = (pf_tensor_names){0};
}

static bool has_prefix(const pf_tensor_names *names, const pf_tensor *tensor) {
    return strncmp(tensor->name, names->prefix, strlen(names->prefix)) == 0;
}

static bool nothing_left(const pf_tensor_names *names, pf_error *error) {
    for (size_t i = 0; i < pf_checkpoint_n_tensors(names->from); i++) {
        const pf_tensor *tensor = pf_checkpoint_tensor(names->from, i);
        if (!names->used[i] && has_prefix(names, tensor))
            return pf_fail(error,
                           "the tensor %s has no known use, and leaving it out could give wrong "
                           "results; if it does not matter, name it under \"ignore\" in a "
                           "--config that lists the tensors (docs/convert.md)",
                           tensor->name);
    }
    return true;
}

static void free_checkpoint(void *object) { pf_checkpoint_free(object); }

pf_checkpoint *pf_tensor_names_end(pf_tensor_names *names, pf_error *error) {
    pf_checkpoint *result = NULL;
    if (nothing_left(names, error) &&
        pf_checkpoint_take_object(names->to, names->from, free_checkpoint, error)) {
        result = names->to;
        names->to = names->from = NULL;
    }
    pf_tensor_names_abort(names);
    return result;
}

/* ---- tensors ---- */

typedef struct {
    size_t n;
    const pf_tensor *parts[];
} parts;

static bool make_part(const pf_tensor *part, char *out, pf_error *error) {
    if (!part->data) return part->make(part->context, part, out, error);
    memcpy(out, part->data, part->bytes);
    return true;
}

/* Joins the rows of all parts, part after part. */
static bool make_joined(const void *context, const pf_tensor *tensor, void *out, pf_error *error) {
    const parts *joined = context;
    char *to = out;
    (void)tensor;
    for (size_t i = 0; i < joined->n; to += joined->parts[i++]->bytes)
        if (!make_part(joined->parts[i], to, error)) return false;
    return true;
}

static void use(pf_tensor_names *names, const pf_tensor *tensor) {
    names->used[tensor - pf_checkpoint_tensor(names->from, 0)] = true;
}

static bool take_one(pf_tensor_names *names, const char *target, const pf_tensor *source,
                     pf_error *error) {
    use(names, source);
    if (source->data)
        return pf_checkpoint_add_tensor(names->to, target, source->type, source->n_dims,
                                        source->shape, source->data, source->bytes, error);
    parts *one = pf_checkpoint_alloc(names->to, sizeof *one + sizeof(void *), "a tensor", error);
    if (!one) return false;
    one->n = 1;
    one->parts[0] = source;
    return pf_checkpoint_add_made_tensor(names->to, target, source->type, source->n_dims,
                                         source->shape, source->bytes, make_joined, one, error);
}

static bool same_rows(const pf_tensor *a, const pf_tensor *b) {
    return a->type == b->type && a->n_dims == b->n_dims && a->n_dims <= 2 && a->bytes == b->bytes &&
           a->shape[0] == b->shape[0] && a->shape[1] == b->shape[1];
}

/* Joins the heads of `source`, which contains {head}. All heads must have the same shape. */
static bool take_heads(pf_tensor_names *names, const char *target, const char *source,
                       pf_error *error) {
    uint32_t n = 0;
    while (n < MAX_COUNT && find_numbered(names, source, "{head}", n)) n++;
    const pf_tensor *first = find_numbered(names, source, "{head}", 0);
    if (!first) return true;
    size_t bytes;
    parts *joined =
        pf_checkpoint_alloc(names->to, sizeof *joined + n * sizeof(void *), "a tensor", error);
    if (!joined) return false;
    joined->n = n;
    for (uint32_t i = 0; i < n; i++) {
        const pf_tensor *part = find_numbered(names, source, "{head}", i);
        if (!same_rows(first, part))
            return pf_fail(error, "the tensors %s and %s should have the same shape", first->name,
                           part->name);
        joined->parts[i] = part;
        use(names, part);
    }
    uint64_t shape[2] = {first->shape[0], first->shape[1]};
    shape[first->n_dims - 1] *= n;
    if (!pf_mul_size(first->bytes, n, &bytes))
        return pf_fail(error, "the tensor %s is too large", target);
    return pf_checkpoint_add_made_tensor(names->to, target, first->type, first->n_dims, shape,
                                         bytes, make_joined, joined, error);
}

static bool take_named(pf_tensor_names *names, const char *target, const char *source,
                       pf_error *error) {
    if (strstr(source, "{head}")) return take_heads(names, target, source, error);
    const pf_tensor *tensor = find_full(names, source);
    return !tensor || take_one(names, target, tensor, error);
}

static bool take_row(pf_tensor_names *names, const pf_tensor_name *row, pf_error *error) {
    char target[MAX_NAME], source[MAX_NAME];
    uint32_t n = strstr(row->source, "{layer}") ? names->n_layers : 1;
    for (uint32_t i = 0; i < n; i++) {
        if (!pf_tensor_names_expand(row->target, "{layer}", i, target, sizeof target) ||
            !pf_tensor_names_expand(row->source, "{layer}", i, source, sizeof source))
            return pf_fail(error, "the tensor name \"%.80s...\" is too long", row->source);
        if (!take_named(names, target, source, error)) return false;
    }
    return true;
}

bool pf_tensor_names_take(pf_tensor_names *names, const pf_tensor_name *rows, size_t n,
                          pf_error *error) {
    for (size_t i = 0; i < n; i++)
        if (!take_row(names, &rows[i], error)) return false;
    return true;
}

/* {layer} and {head} in the pattern match one or more digits; a * at its end matches the rest. */
static bool matches(const char *pattern, const char *name) {
    while (*pattern) {
        if (strcmp(pattern, "*") == 0) return true;
        size_t slot = strncmp(pattern, "{layer}", 7) == 0  ? 7
                      : strncmp(pattern, "{head}", 6) == 0 ? 6
                                                           : 0;
        if (slot) {
            size_t digits = strspn(name, "0123456789");
            if (digits == 0) return false;
            pattern += slot;
            name += digits;
        } else if (*pattern++ != *name++) {
            return false;
        }
    }
    return *name == '\0';
}

void pf_tensor_names_ignore(pf_tensor_names *names, const char *source) {
    for (size_t i = 0; i < pf_checkpoint_n_tensors(names->from); i++) {
        const pf_tensor *tensor = pf_checkpoint_tensor(names->from, i);
        if (has_prefix(names, tensor) && matches(source, tensor->name + strlen(names->prefix)))
            names->used[i] = true;
    }
}
