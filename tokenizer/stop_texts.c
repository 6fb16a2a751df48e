/* floor 3.0 - stop texts: ends a text that comes in pieces before the first of some texts in it. */
#include "stop_texts.h"

#include "memory.h"
#include "utf8.h"

#include <string.h>

static bool is_utf8(const char *text, size_t n) {
    for (size_t i = 0; i < n;) {
        pf_utf8 c = pf_utf8_next(text + i, n - i);
        if (!c.valid) return false;
        i += c.size;
    }
    return true;
}

bool pf_stop_texts_start(pf_stop_texts *stop, const char *const *texts, size_t n, pf_error *error) {
    *stop = (pf_stop_texts){.texts = texts, .n = n};
    stop->sizes = pf_calloc(n, sizeof *stop->sizes, "the stop texts", error);
    if (!stop->sizes) return false;
    for (size_t i = 0; i < stop->n; i++) {
        stop->sizes[i] = strlen(stop->texts[i]);
        if (stop->sizes[i] == 0)
            return pf_fail(error, "a text to stop at is empty; give at least one character");
        if (!is_utf8(stop->texts[i], stop->sizes[i]))
            return pf_fail(error, "a text to stop at is not UTF-8; give whole characters");
    }
    return true;
}

void pf_stop_texts_free(pf_stop_texts *stop) {
    pf_free(stop->text.bytes);
    pf_free(stop->sizes);
    *stop = (pf_stop_texts){0};
}

void pf_stop_texts_again(pf_stop_texts *stop) {
    stop->text.n = stop->shown = 0;
    stop->found = false;
}

/* True if bytes [n] end with the first `size` bytes of `text`. */
static bool ends_with(const char *bytes, size_t n, const char *text, size_t size) {
    return size <= n && memcmp(bytes + n - size, text, size) == 0;
}

/* The size of the longest stop text that bytes [n] end with, 0 if there is none. */
static size_t complete(const pf_stop_texts *stop, const char *bytes, size_t n) {
    size_t longest = 0;
    for (size_t i = 0; i < stop->n; i++)
        if (stop->sizes[i] > longest && ends_with(bytes, n, stop->texts[i], stop->sizes[i]))
            longest = stop->sizes[i];
    return longest;
}

/* How many bytes at the end of bytes [n] may be the beginning of a stop text. */
static size_t begun(const pf_stop_texts *stop, const char *bytes, size_t n) {
    size_t longest = 0;
    for (size_t i = 0; i < stop->n; i++)
        for (size_t size = stop->sizes[i] - 1; size > longest; size--)
            if (ends_with(bytes, n, stop->texts[i], size)) longest = size;
    return longest;
}

bool pf_stop_texts_add(pf_stop_texts *stop, const char *piece, size_t n, const char **out,
                       size_t *n_out, pf_error *error) {
    if (stop->n == 0) {
        *out = piece;
        *n_out = n;
        return true;
    }
    *n_out = 0;
    pf_buffer *text = &stop->text;
    size_t seen = text->n - stop->shown;
    if (seen > 0) memmove(text->bytes, text->bytes + stop->shown, seen);
    text->n = seen;
    stop->shown = 0;
    if (!pf_buffer_put(text, piece, n, error)) return false;
    size_t end = text->n, stopped = 0;
    for (size_t i = seen; i < text->n && !stopped; i++) {
        stopped = complete(stop, text->bytes, i + 1);
        if (stopped) end = i + 1;
    }
    stop->found = stopped > 0;
    stop->shown = end - (stopped ? stopped : begun(stop, text->bytes, end));
    *out = text->bytes;
    *n_out = stop->shown;
    return true;
}

void pf_stop_texts_end(pf_stop_texts *stop, const char **out, size_t *n_out) {
    *n_out = stop->found ? 0 : stop->text.n - stop->shown;
    *out = *n_out ? stop->text.bytes + stop->shown : "";
    stop->shown = stop->text.n;
}
