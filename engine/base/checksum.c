/* floor 0.0 - checksum: 64 bits that detect damaged or different bytes.
 *
 * Each of four lanes takes every fourth word, so that the multiplications overlap. For a given
 * word, a step maps sums one to one, and so does joining the lanes: no single changed word can go
 * unnoticed. */
#include "checksum.h"

#include <string.h>

enum { LANES = 4, WORD = 8 };

static uint64_t step(uint64_t sum, uint64_t word) {
    sum = (sum ^ word) * UINT64_C(0x9E3779B97F4A7C15); /* odd: the golden ratio */
    return sum << 29 | sum >> 35;
}

uint64_t pf_checksum(uint64_t sum, const void *bytes, size_t size) {
    const unsigned char *at = bytes;
    uint64_t lanes[LANES] = {1, 2, 3, 4}, word;
    size_t left = size;
    for (; left >= LANES * WORD; left -= LANES * WORD)
        for (int i = 0; i < LANES; i++, at += WORD) {
            memcpy(&word, at, WORD);
            lanes[i] = step(lanes[i], word);
        }
    for (int i = 0; left > 0; i++) {
        size_t n = left < WORD ? left : WORD;
        word = 0;
        memcpy(&word, at, n);
        lanes[i] = step(lanes[i], word);
        at += n;
        left -= n;
    }
    sum = step(sum, size);
    for (int i = 0; i < LANES; i++) sum = step(sum, lanes[i]);
    return sum;
}
