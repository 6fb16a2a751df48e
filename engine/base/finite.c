/* floor 1.1 - finite: finds NaN and infinity in a row of any type. */
#include "finite.h"

#include <string.h>

/* Byte offsets of a block's half-precision scales; -1: there is no second one. A finite scale
 * times the small integers of a block is finite. */
static const struct {
    int first, second;
} scales[PF_TYPE_COUNT] = {
    [PF_Q4_0] = {0, -1}, [PF_Q4_1] = {0, 2},    [PF_Q5_0] = {0, -1},   [PF_Q5_1] = {0, 2},
    [PF_Q8_0] = {0, -1}, [PF_Q2_K] = {80, 82},  [PF_Q3_K] = {108, -1}, [PF_Q4_K] = {0, 2},
    [PF_Q5_K] = {0, 2},  [PF_Q6_K] = {208, -1}, [PF_IQ4_NL] = {0, -1}, [PF_IQ4_XS] = {0, -1},
};

/* NaN and infinity are exactly the values whose exponent bits are all set. */
static bool half_is_finite(const unsigned char *bytes) { return (bytes[1] & 0x7C) != 0x7C; }

static bool floats_are_finite(const unsigned char *bytes, size_t n) {
    uint32_t bad = 0, bits;
    for (size_t i = 0; i < n; i++) {
        memcpy(&bits, bytes + 4 * i, 4);
        bad |= (bits & 0x7F800000) == 0x7F800000;
    }
    return !bad;
}

static bool halves_are_finite(const unsigned char *bytes, size_t n, unsigned exponent) {
    unsigned bad = 0;
    uint16_t bits;
    for (size_t i = 0; i < n; i++) {
        memcpy(&bits, bytes + 2 * i, 2);
        bad |= (bits & exponent) == exponent;
    }
    return !bad;
}

bool pf_row_is_finite(pf_type type, const void *row, size_t n) {
    const unsigned char *bytes = row;
    const pf_type_info *info = pf_type_get(type);
    if (type == PF_F32) return floats_are_finite(bytes, n);
    if (type == PF_F16) return halves_are_finite(bytes, n, 0x7C00);
    if (type == PF_BF16) return halves_are_finite(bytes, n, 0x7F80);
    int first = scales[type].first, second = scales[type].second;
    for (size_t block = 0; block < n / info->block_size; block++, bytes += info->block_bytes)
        if (!half_is_finite(bytes + first) || (second >= 0 && !half_is_finite(bytes + second)))
            return false;
    return true;
}
