/* floor 0.0 - UTF-8: reads and writes one character. */
#include "utf8.h"

/* The length of a character and the range of its second byte, both given by the first byte (Unicode
 * 15, table 3-7). All later bytes are 80..BF. 0 if no character starts with this byte. */
static size_t lead(uint8_t byte, uint8_t *low, uint8_t *high) {
    *low = 0x80;
    *high = 0xBF;
    if (byte < 0x80) return 1;
    if (byte < 0xC2) return 0;
    if (byte < 0xE0) return 2;
    if (byte < 0xF0) {
        if (byte == 0xE0) *low = 0xA0;
        if (byte == 0xED) *high = 0x9F;
        return 3;
    }
    if (byte == 0xF0) *low = 0x90;
    if (byte == 0xF4) *high = 0x8F;
    return byte < 0xF5 ? 4 : 0;
}

pf_utf8 pf_utf8_next(const char *text, size_t n) {
    const uint8_t *bytes = (const uint8_t *)text;
    uint8_t low, high;
    size_t length = lead(bytes[0], &low, &high);
    if (length == 1) return (pf_utf8){.size = 1, .code = bytes[0], .valid = true};
    if (length == 0) return (pf_utf8){.size = 1};

    uint32_t code = bytes[0] & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (i == n) return (pf_utf8){.size = n, .incomplete = true};
        if (bytes[i] < low || bytes[i] > high) return (pf_utf8){.size = i};
        code = code << 6 | (bytes[i] & 0x3Fu);
        low = 0x80;
        high = 0xBF;
    }
    return (pf_utf8){.size = length, .code = code, .valid = true};
}

size_t pf_utf8_write(uint32_t code, char *out) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length; i-- > 1; code >>= 6) out[i] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)((0xF00u >> length & 0xF0) | code);
    return length;
}
