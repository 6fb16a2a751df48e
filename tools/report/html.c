/* floor 5.2 - html: a growing buffer of HTML. */
#include "html.h"

#include "memory.h"
#include "utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void html_free(html *p) {
    pf_free(p->text);
    *p = (html){0};
}

/* Makes room for n more bytes and a NUL. */
static bool reserve(html *p, size_t n) {
    if (p->failed) return false;
    if (n < p->capacity - p->used) return true;
    size_t capacity = 2 * p->capacity + n + 4096;
    char *grown = pf_realloc(p->text, capacity, 1, "the report", &p->error);
    p->failed = !grown;
    if (!grown) return false;
    p->text = grown;
    p->capacity = capacity;
    return true;
}

void html_bytes(html *p, const char *bytes, size_t n) {
    if (!reserve(p, n)) return;
    memcpy(p->text + p->used, bytes, n);
    p->used += n;
    p->text[p->used] = '\0';
}

void html_add(html *p, const char *format, ...) {
    char line[4096];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (n > 0) html_bytes(p, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

/* The replacement for a character that must be escaped; NULL if it needs none. */
static const char *escape_of(pf_utf8 character) {
    bool control = character.code < 0x20 || character.code == 0x7F;
    if (!character.valid || (control && character.code != '\n')) return "\xEF\xBF\xBD"; /* U+FFFD */
    switch (character.code) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    default:
        return NULL;
    }
}

void html_text(html *p, const char *text, size_t n) {
    for (size_t i = 0; i < n;) {
        pf_utf8 character = pf_utf8_next(text + i, n - i);
        const char *escape = escape_of(character);
        if (escape)
            html_bytes(p, escape, strlen(escape));
        else
            html_bytes(p, text + i, character.size);
        i += character.size;
    }
}

void html_string(html *p, const char *text) { html_text(p, text, strlen(text)); }

void html_base64(html *p, const uint8_t *bytes, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        uint32_t b = (uint32_t)bytes[i] << 16;
        if (i + 1 < n) b |= (uint32_t)bytes[i + 1] << 8;
        if (i + 2 < n) b |= bytes[i + 2];
        char four[4] = {digits[b >> 18], digits[b >> 12 & 63], digits[b >> 6 & 63], digits[b & 63]};
        if (i + 1 >= n) four[2] = '=';
        if (i + 2 >= n) four[3] = '=';
        html_bytes(p, four, 4);
    }
}
