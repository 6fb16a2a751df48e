/* floor 0.0 - UTF-8: reads and writes one character. */
#ifndef PF_UTF8_H
#define PF_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct pf_utf8 {
    size_t size;   /* bytes of the character; if invalid, the bytes that one U+FFFD replaces */
    uint32_t code; /* code point, if valid */
    bool valid;
    bool incomplete; /* invalid because the text ends inside the character */
} pf_utf8;

/* The character at text [n >= 1 bytes]. Overlong forms, surrogates and values above U+10FFFF are
 * invalid. An invalid sequence ends where Unicode recommends: before the first byte that no valid
 * character could have there. */
pf_utf8 pf_utf8_next(const char *text, size_t n);

/* Writes code (<= U+10FFFF) to out [4] and returns its length. */
size_t pf_utf8_write(uint32_t code, char *out);

#endif
