/* floor 3.1 - normalise: the steps that change a text before it is cut into pieces. */
#include "normalize.h"

#include "buffer.h"
#include "charsmap.h"
#include "memory.h"
#include "utf8.h"

#include <string.h>
#include <utf8proc.h>

/* ---- normal forms ---- */

static utf8proc_option_t options_of(pf_normal_kind kind) {
    switch (kind) {
    case PF_NORMAL_NFC:
        return UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    case PF_NORMAL_NFD:
        return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
    case PF_NORMAL_NFKC:
        return UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT;
    default:
        return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT;
    }
}

/* utf8proc sorts consecutive marks by their combining class in quadratic time. Real texts have a
 * handful in a row; we cut after this many (Unicode's stream-safe text format allows 30). */
#define MAX_MARKS 256

/* How many bytes of the text to normalise at once: valid UTF-8, or a run of invalid bytes, for
 * which *valid is false. */
static size_t part_length(const char *text, size_t n, bool *valid) {
    size_t i = 0, marks = 0;
    *valid = pf_utf8_next(text, n).valid;
    while (i < n && marks < MAX_MARKS) {
        pf_utf8 character = pf_utf8_next(text + i, n - i);
        if (character.valid != *valid) break;
        bool is_mark = character.valid && character.code >= 0x300 &&
                       utf8proc_get_property((utf8proc_int32_t)character.code)->combining_class;
        marks = is_mark ? marks + 1 : 0;
        i += character.size;
    }
    return i;
}

static bool put_normal_form(pf_buffer *out, const char *text, size_t n, utf8proc_option_t options,
                            pf_error *error) {
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text;
    utf8proc_ssize_t count = utf8proc_decompose(bytes, (utf8proc_ssize_t)n, NULL, 0, options);
    if (count < 0)
        return pf_fail(error, "the text cannot be normalised: %s", utf8proc_errmsg(count));
    utf8proc_int32_t *codes =
        pf_calloc((size_t)count + 1, sizeof *codes, "the normalised text", error);
    if (!codes) return false;
    count = utf8proc_decompose(bytes, (utf8proc_ssize_t)n, codes, count, options);
    if (count >= 0) count = utf8proc_reencode(codes, count, options); /* in place, as UTF-8 */
    bool ok = count >= 0
                  ? pf_buffer_put(out, (const char *)codes, (size_t)count, error)
                  : pf_fail(error, "the text cannot be normalised: %s", utf8proc_errmsg(count));
    pf_free(codes);
    return ok;
}

static bool normal_form(pf_buffer *out, const char *text, size_t n, pf_normal_kind kind,
                        pf_error *error) {
    bool ok = true, valid;
    for (size_t i = 0, size; ok && i < n; i += size) {
        size = part_length(text + i, n - i, &valid);
        ok = valid ? put_normal_form(out, text + i, size, options_of(kind), error)
                   : pf_buffer_put(out, text + i, size, error);
    }
    return ok;
}

/* ---- the other steps ---- */

static bool lowercase(pf_buffer *out, const char *text, size_t n, pf_error *error) {
    for (size_t i = 0; i < n;) {
        pf_utf8 character = pf_utf8_next(text + i, n - i);
        char lower[4];
        size_t size = character.size;
        const char *bytes = text + i;
        if (character.valid && character.code == 0x130) { /* the only one that becomes two */
            bytes = "i\xCC\x87";
            size = 3;
        } else if (character.valid) {
            size =
                pf_utf8_write((uint32_t)utf8proc_tolower((utf8proc_int32_t)character.code), lower);
            bytes = lower;
        }
        if (!pf_buffer_put(out, bytes, size, error)) return false;
        i += character.size;
    }
    return true;
}

static bool replace(pf_buffer *out, const char *text, size_t n, const pf_normal_step *step,
                    pf_error *error) {
    size_t from = step->from_size;
    for (size_t i = 0; i < n;) {
        bool found = from && from <= n - i && memcmp(text + i, step->from, from) == 0;
        if (!pf_buffer_put(out, found ? step->to : text + i, found ? step->to_size : 1, error))
            return false;
        i += found ? from : 1;
    }
    return true;
}

static bool charsmap(pf_buffer *out, const char *text, size_t n, const pf_normal_step *step,
                     pf_error *error) {
    for (size_t i = 0; i < n;) {
        const char *to = text + i;
        size_t to_size = 0;
        size_t used = pf_charsmap_find(step->from, step->from_size, text + i, n - i, &to, &to_size);
        if (!used) used = to_size = pf_utf8_next(text + i, n - i).size;
        if (!pf_buffer_put(out, to, to_size, error)) return false;
        i += used;
    }
    return true;
}

static bool apply(pf_buffer *out, const char *text, size_t n, const pf_normal_step *step,
                  pf_error *error) {
    switch (step->kind) {
    case PF_NORMAL_NFC:
    case PF_NORMAL_NFD:
    case PF_NORMAL_NFKC:
    case PF_NORMAL_NFKD:
        return normal_form(out, text, n, step->kind, error);
    case PF_NORMAL_LOWERCASE:
        return lowercase(out, text, n, error);
    case PF_NORMAL_CHARSMAP:
        return charsmap(out, text, n, step, error);
    case PF_NORMAL_REPLACE:
        return replace(out, text, n, step, error);
    case PF_NORMAL_PREPEND:
        return (n == 0 || pf_buffer_put(out, step->to, step->to_size, error)) &&
               pf_buffer_put(out, text, n, error);
    }
    return pf_fail(error, "normalisation step %d is unknown", (int)step->kind);
}

bool pf_normalize(const pf_normal_step *steps, size_t n_steps, const char *text, size_t n,
                  char **result, size_t *size, pf_error *error) {
    pf_buffer now = {0};
    bool ok = pf_buffer_put(&now, text, n, error);
    for (size_t i = 0; ok && i < n_steps; i++) {
        pf_buffer next = {0};
        ok = apply(&next, now.bytes, now.n, &steps[i], error);
        pf_free(now.bytes);
        now = next;
    }
    if (!ok) {
        pf_free(now.bytes);
        return false;
    }
    *result = now.bytes;
    *size = now.n;
    return true;
}
