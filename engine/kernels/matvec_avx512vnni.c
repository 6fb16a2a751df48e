/* floor 1.4 - quantised weights times one token with VNNI: 64 weights to a register, for processors
 * whose 512-bit units are as wide as that (Intel's), and the 256-bit loops for AMD's.
 *
 * Unpacking takes more time than the dot products do, so it is kept short:
 *   - The same 16 or 32 bytes are loaded into two parts of a register, one for their low nibbles
 *     and one for their high ones. A single AND takes both. The high ones stay where they are,
 *     sixteen times too large, and their scale is divided by sixteen instead, which is exact. Bits
 *     in pairs (Q2_K) likewise, by 4, 16 and 64.
 *   - The scales of eight blocks of 32, or of one block of 256, are computed in one register, and a
 *     permutation spreads two or four of them over the lanes.
 *   - All integers are unsigned. A centre c (8 in Q4_0, 32 in Q6_K) is taken off as c d s (sum of
 *     p), for a whole register of scales at once.
 * matvec_int8_x86.h has the formula. Its 256-bit loops do the blocks that are left over, and Q8_0,
 * which has nothing to unpack. */
#if defined(__x86_64__)

#include "kernels_x86.h"
#include "matvec_int8_x86.h"
#include "prefetch_x86.h"

/* Blocks of 256: sums of p by sixteens are on the stack. Longer rows take the 256-bit loops. */
enum { MOST_COLS = 32768 };

INLINE __m512i load64(const void *p) { return _mm512_loadu_si512(p); }

/* Adds to sixteen sums u . p, four products each, times the scale of each lane. */
INLINE __m512 add_dots(__m512 total, __m512i u, const int8_t *p, __m512 scale) {
    __m512i dots = _mm512_dpbusd_epi32(_mm512_setzero_si512(), u, load64(p));
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots), scale, total);
}

/* Four lanes each of i, j, k and l; from 16 on, those of the second register. */
INLINE __m512 spread(__m512 x, __m512 second, const int i, const int j, const int k, const int l) {
    const __m512i from = _mm512_setr_epi32(i, i, i, i, j, j, j, j, k, k, k, k, l, l, l, l);
    return _mm512_permutex2var_ps(x, from, second);
}

INLINE __m512 four_of(__m512 x, const int i) { return spread(x, x, i, i + 1, i + 2, i + 3); }
INLINE __m512 two_of(__m512 x, const int i) { return spread(x, x, i, i, i + 1, i + 1); }

/* ---- blocks of 32, eight at a time ---- */

enum { GROUP = 8 };

/* The first four bytes of eight blocks. */
INLINE __m256i first_words(const uint8_t *block, const size_t bytes) {
    __m256i word[GROUP];
#pragma GCC unroll 8
    for (size_t b = 0; b < GROUP; b++) {
        int32_t first;
        memcpy(&first, block + b * bytes, sizeof first);
        word[b] = _mm256_set1_epi32(first);
    }
    __m256i low = _mm256_blend_epi32(word[0], word[1], 1 << 1);
    low = _mm256_blend_epi32(low, word[2], 1 << 2);
    low = _mm256_blend_epi32(low, word[3], 1 << 3);
    __m256i high = _mm256_blend_epi32(word[4], word[5], 1 << 5);
    high = _mm256_blend_epi32(high, word[6], 1 << 6);
    high = _mm256_blend_epi32(high, word[7], 1 << 7);
    return _mm256_blend_epi32(low, high, 0xf0);
}

/* Lanes 2b and 2b + 1: d and m of block b; without has_min, d twice. */
INLINE __m512 eight_scales(const uint8_t *block, const size_t bytes, const bool has_min) {
    const __m256i d_twice = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13));
    __m256i words = first_words(block, bytes);
    return _mm512_cvtph_ps(has_min ? words : _mm256_shuffle_epi8(words, d_twice));
}

/* Lanes 2b and 2b + 1: scale and sum of block b of the activations. */
INLINE __m512 scales_and_sums(pf_activation a, size_t b) {
    const __m512i both = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    return _mm512_permutex2var_ps(_mm512_castps256_ps512(_mm256_loadu_ps(a.scale + b)), both,
                                  _mm512_castps256_ps512(_mm256_loadu_ps(a.sum + b)));
}

/* The bytes at low in both 128-bit quarters of the lower half, those at high in the upper half. */
INLINE __m512i two_blocks(const uint8_t *low, const uint8_t *high) {
    return _mm512_mask_broadcast_i32x4(_mm512_broadcast_i32x4(pf_load16(low)), 0xff00,
                                       pf_load16(high));
}

/* The fifth bits of two blocks, as 16 where set. */
INLINE __m512i with_fifth_bits(__m512i q, const uint8_t *low, const uint8_t *high) {
    uint32_t first, second;
    memcpy(&first, low, sizeof first);
    memcpy(&second, high, sizeof second);
    __mmask64 set = (__mmask64)second << 32 | first;
    return _mm512_mask_add_epi8(q, set, q, _mm512_set1_epi8(16));
}

/* Blocks b ... b + 7 of a row: adds their dots, and in the odd lanes of offset m s (sum of p), or
 * d s (sum of p) without has_min. five: a word of fifth bits comes before the nibbles. */
INLINE void eight_blocks(const uint8_t *block, size_t b, pf_activation a, __m512 dots[2],
                         __m512 *offset, const size_t bytes, const bool has_min, const bool five) {
    const int64_t low4 = 0x0f0f0f0f0f0f0f0f, high4 = (int64_t)0xf0f0f0f0f0f0f0f0;
    const __m512i in_place = _mm512_setr_epi64(low4, low4, high4, high4, low4, low4, high4, high4);
    const __m512i shifts = _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4);
    const size_t bits_at = has_min ? 4 : 2, q_at = bits_at + (five ? 4 : 0);
    __m512 scale = _mm512_mul_ps(eight_scales(block, bytes, has_min), scales_and_sums(a, b));
    __m512 sixteenth = _mm512_mul_ps(scale, _mm512_set1_ps(0.0625f));
    *offset = _mm512_mask_add_ps(*offset, 0xaaaa, *offset, scale);
#pragma GCC unroll 4
    for (int j = 0; j < GROUP / 2; j++, block += 2 * bytes) {
        __m512i q = two_blocks(block + q_at, block + bytes + q_at);
        const int i = 4 * j, k = i + 2, i16 = i + 16, k16 = k + 16;
        if (five) {
            q = _mm512_and_si512(_mm512_srlv_epi64(q, shifts), _mm512_set1_epi8(15));
            q = with_fifth_bits(q, block + bits_at, block + bytes + bits_at);
        } else
            q = _mm512_and_si512(q, in_place);
        __m512 lanes =
            five ? spread(scale, scale, i, i, k, k) : spread(scale, sixteenth, i, i16, k, k16);
        dots[j % 2] = add_dots(dots[j % 2], q, a.q + 32 * (b + 2 * (size_t)j), lanes);
    }
}

/* Rows of any type of 32 with nibbles: as in pf_matrix_of_32. */
INLINE void wide_matrix_of_32(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end,
                              const size_t bytes, pf_unpack unpack, const pf_offset_kind kind,
                              const float centre, const bool five) {
    const size_t n_blocks = W.cols / 32;
    const uint8_t *block = (const uint8_t *)W.data + begin * n_blocks * bytes;
    for (size_t r = begin; r < end; r++) {
        __m512 dots[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()}, offset = dots[0];
        pf_totals left = {_mm256_setzero_ps(), _mm_setzero_ps()};
        size_t b = 0;
        for (; b + GROUP <= n_blocks; b += GROUP, block += GROUP * bytes) {
            pf_fetch_weights(block, GROUP * bytes, PF_INTEL);
            eight_blocks(block, b, a, dots, &offset, bytes, kind == PF_MIN, five);
        }
        if (b < n_blocks) pf_fetch_weights(block, (n_blocks - b) * bytes, PF_INTEL);
        for (; b < n_blocks; b++, block += bytes) pf_add_block(&left, block, b, a, unpack, kind);
        dots[0] = _mm512_add_ps(dots[0], _mm512_zextps256_ps512(left.dots));
        float all = _mm512_reduce_add_ps(_mm512_add_ps(dots[0], dots[1]));
        float offsets = _mm512_reduce_add_ps(offset) + _mm_cvtss_f32(left.offset);
        y[r] = kind == PF_MIN ? all + offsets : all - centre * offsets;
    }
}

/* ---- blocks of 256 ---- */

/* Two bytes, the first in the lower half of a register and the second in the upper. */
INLINE __m512i halves(const int low, const int high) {
    return _mm512_inserti64x4(_mm512_set1_epi8((char)low), _mm256_set1_epi8((char)high), 1);
}

INLINE __m512i both_halves(const uint8_t *p) { return _mm512_broadcast_i64x4(pf_load32(p)); }

/* The eight scales of a Q4_K or Q5_K block in lanes 0 ... 7 and its mins in the others, times d
 * and dmin, s and the sums: w = scale q - min. */
INLINE __m512 wide_k_scales(const uint8_t *block, const float *s, const float *sum) {
    __m128i all = pf_load16(block); /* d, dmin and three words of six-bit numbers */
    __m128i low = _mm_shuffle_epi32(all, _MM_SHUFFLE(3, 2, 3, 1));
    low = _mm_srlv_epi32(low, _mm_setr_epi32(0, 0, 0, 4));
    __m128i high = _mm_srli_epi32(_mm_shuffle_epi32(all, _MM_SHUFFLE(2, 2, 1, 1)), 2);
    low = _mm_and_si128(low, _mm_setr_epi32(0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f));
    high = _mm_and_si128(high, _mm_setr_epi32(0, 0x30303030, 0, 0x30303030));
    __m512 scales = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_or_si128(low, high)));
    const __m512i first8 = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
    __m512 d = _mm512_permutexvar_ps(first8, _mm512_castps128_ps512(_mm_cvtph_ps(all)));
    __m512 activation =
        _mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(s)), _mm256_loadu_ps(sum), 1);
    return _mm512_mul_ps(_mm512_mul_ps(scales, d), activation);
}

/* One row of Q4_K, or of Q5_K (five). */
INLINE float wide_row_of_k(const uint8_t *block, size_t n_blocks, pf_activation a,
                           const bool five) {
    const __m512 part =
        _mm512_setr_ps(1, 0.0625f, 1, 0.0625f, 1, 0.0625f, 1, 0.0625f, 1, 1, 1, 1, 1, 1, 1, 1);
    __m512 total[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()}, mins = total[0];
    const size_t bytes = five ? 176 : 144;
    for (size_t b = 0; b < n_blocks; b++, block += bytes) {
        pf_fetch_weights(block, bytes, PF_INTEL);
        __m512 scale = wide_k_scales(block, a.scale + 8 * b, a.sum + 8 * b);
        mins = _mm512_mask_add_ps(mins, 0xff00, mins, scale);
        __m512i fifth = _mm512_setzero_si512();
        if (five)
            fifth = both_halves(block + 16);
        else
            scale = _mm512_mul_ps(scale, part);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            __m512i q = both_halves(block + (five ? 48 : 16) + 32 * j);
            if (five) {
                q = _mm512_srlv_epi64(q, _mm512_setr_epi64(0, 0, 0, 0, 4, 4, 4, 4));
                q = _mm512_and_si512(q, _mm512_set1_epi8(15));
                __mmask64 set = _mm512_test_epi8_mask(fifth, halves(1 << 2 * j, 2 << 2 * j));
                q = _mm512_mask_add_epi8(q, set, q, _mm512_set1_epi8(16));
            } else
                q = _mm512_and_si512(q, halves(0x0f, 0xf0));
            total[j % 2] = add_dots(total[j % 2], q, a.q + 256 * b + 64 * j, two_of(scale, 2 * j));
        }
    }
    return _mm512_reduce_add_ps(_mm512_sub_ps(_mm512_add_ps(total[0], total[1]), mins));
}

/* sums [n / 16] = the sums of p by sixteens. */
static void sum_by_16(const int8_t *p, size_t n, float *sums) {
    for (size_t i = 0; i < n; i += 64) {
        __m512i four =
            _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), load64(p + i));
        four = _mm512_add_epi32(four, _mm512_shuffle_epi32(four, _MM_PERM_CDAB));
        four = _mm512_add_epi32(four, _mm512_shuffle_epi32(four, _MM_PERM_BADC));
        __m512 sum = _mm512_cvtepi32_ps(_mm512_maskz_compress_epi32(0x1111, four));
        _mm_storeu_ps(sums + i / 16, _mm512_castps512_ps128(sum));
    }
}

/* Sixteen bytes times d, and times s of their block of 32. */
INLINE __m512 sixteen_scales(__m512i bytes, const uint8_t *d, const float *s) {
    const __m512i twice = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    __m512 activation = _mm512_permutexvar_ps(twice, _mm512_castps256_ps512(_mm256_loadu_ps(s)));
    __m512 scale = _mm512_mul_ps(_mm512_cvtepi32_ps(bytes), _mm512_set1_ps(pf_half(d)));
    return _mm512_mul_ps(scale, activation);
}

/* One row of Q6_K: q - 32. */
INLINE float wide_row_of_q6_k(const uint8_t *block, size_t n_blocks, pf_activation a,
                              const float *sums) {
    const __m512i low4 = _mm512_set1_epi8(0x0f), high2 = _mm512_set1_epi8(0x30);
    __m512 total[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()}, offset = total[0];
    for (size_t b = 0; b < n_blocks; b++, block += 210) {
        pf_fetch_weights(block, 210, PF_INTEL);
        __m512 scale = sixteen_scales(_mm512_cvtepi8_epi32(pf_load16(block + 192)), block + 208,
                                      a.scale + 8 * b);
        offset = _mm512_fmadd_ps(scale, _mm512_loadu_ps(sums + 16 * b), offset);
#pragma GCC unroll 2
        for (int j = 0; j < 2; j++) {
            __m512i four = load64(block + 64 * j), two = both_halves(block + 128 + 32 * j);
            __m512i above = _mm512_sllv_epi64(two, _mm512_setr_epi64(4, 4, 4, 4, 2, 2, 2, 2));
            __m512i q = _mm512_and_si512(four, low4);
            q = _mm512_or_si512(q, _mm512_and_si512(above, high2));
            const int8_t *p = a.q + 256 * b + 128 * j;
            total[0] = add_dots(total[0], q, p, four_of(scale, 8 * j));
            above = _mm512_srlv_epi64(two, _mm512_setr_epi64(0, 0, 0, 0, 2, 2, 2, 2));
            q = _mm512_and_si512(_mm512_srli_epi16(four, 4), low4);
            q = _mm512_or_si512(q, _mm512_and_si512(above, high2));
            total[1] = add_dots(total[1], q, p + 64, four_of(scale, 8 * j + 4));
        }
    }
    __m512 all = _mm512_add_ps(total[0], total[1]);
    return _mm512_reduce_add_ps(_mm512_fnmadd_ps(offset, _mm512_set1_ps(32), all));
}

/* The factor by which two bits that stay in place are too large, inverted: of each 32 values. */
INLINE __m512 quarter_powers(void) {
    const float a = 0.25f, b = 0.0625f, c = 0.015625f;
    return _mm512_setr_ps(1, 1, a, a, b, b, c, c, 1, 1, a, a, b, b, c, c);
}

/* One row of Q2_K: scale q - min. */
INLINE float wide_row_of_q2_k(const uint8_t *block, size_t n_blocks, pf_activation a,
                              const float *sums) {
    const __m128i low4 = _mm_set1_epi8(15);
    __m512 total[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()}, mins = total[0];
    for (size_t b = 0; b < n_blocks; b++, block += 84) {
        pf_fetch_weights(block, 84, PF_INTEL);
        __m128i both = pf_load16(block);
        __m512i bytes = _mm512_cvtepu8_epi32(_mm_and_si128(both, low4));
        __m512 scale = sixteen_scales(bytes, block + 80, a.scale + 8 * b);
        bytes = _mm512_cvtepu8_epi32(_mm_and_si128(_mm_srli_epi16(both, 4), low4));
        __m512 min = sixteen_scales(bytes, block + 82, a.scale + 8 * b);
        mins = _mm512_fmadd_ps(min, _mm512_loadu_ps(sums + 16 * b), mins);
        scale = _mm512_mul_ps(scale, quarter_powers());
#pragma GCC unroll 2
        for (int j = 0; j < 2; j++) {
            __m512i two = both_halves(block + 16 + 32 * j);
            const int8_t *p = a.q + 256 * b + 128 * j;
            __m512i q = _mm512_and_si512(two, halves(0x03, 0x0c));
            total[0] = add_dots(total[0], q, p, four_of(scale, 8 * j));
            q = _mm512_and_si512(two, halves(0x30, 0xc0));
            total[1] = add_dots(total[1], q, p + 64, four_of(scale, 8 * j + 4));
        }
    }
    return _mm512_reduce_add_ps(_mm512_sub_ps(_mm512_add_ps(total[0], total[1]), mins));
}

/* The sixteen scales of a Q3_K block, + 32. */
INLINE __m128i q3_k_scales(const uint8_t *block) {
    __m128i all = pf_load16(block + 94); /* twelve bytes of scales come last */
    __m128i low =
        _mm_shuffle_epi8(all, _mm_setr_epi8(2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5, 6, 7, 8, 9));
    low = _mm_and_si128(_mm_srlv_epi64(low, _mm_set_epi64x(4, 0)), _mm_set1_epi8(15));
    __m128i high = _mm_shuffle_epi8(
        all, _mm_setr_epi8(10, 11, 12, 13, 10, 11, 12, 13, 10, 11, 12, 13, 10, 11, 12, 13));
    high = _mm_slli_epi32(_mm_srlv_epi32(high, _mm_setr_epi32(0, 2, 4, 6)), 4);
    return _mm_or_si128(low, _mm_and_si128(high, _mm_set1_epi8(0x30)));
}

/* One row of Q3_K: q - 4. */
INLINE float wide_row_of_q3_k(const uint8_t *block, size_t n_blocks, pf_activation a,
                              const float *sums) {
    const __m512 part = _mm512_setr_ps(1, 1, 0.25f, 0.25f, 1, 1, 0.25f, 0.25f, 1, 1, 0.25f, 0.25f,
                                       1, 1, 0.25f, 0.25f);
    __m512 total[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()}, offset = total[0];
    for (size_t b = 0; b < n_blocks; b++, block += 110) {
        pf_fetch_weights(block, 110, PF_INTEL);
        __m512i bytes =
            _mm512_sub_epi32(_mm512_cvtepu8_epi32(q3_k_scales(block)), _mm512_set1_epi32(32));
        __m512 scale = sixteen_scales(bytes, block + 108, a.scale + 8 * b);
        offset = _mm512_fmadd_ps(scale, _mm512_loadu_ps(sums + 16 * b), offset);
        scale = _mm512_mul_ps(scale, part);
        __m512i third = both_halves(block);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            __m512i q = both_halves(block + 32 + j / 2 * 32);
            if (j % 2) q = _mm512_srli_epi16(q, 4);
            __mmask64 set = _mm512_test_epi8_mask(third, halves(1 << 2 * j, 2 << 2 * j));
            q = _mm512_and_si512(q, halves(0x03, 0x0c));
            q = _mm512_mask_add_epi8(q, set, q, halves(0x04, 0x10));
            total[j % 2] = add_dots(total[j % 2], q, a.q + 256 * b + 64 * j, four_of(scale, 4 * j));
        }
    }
    __m512 all = _mm512_add_ps(total[0], total[1]);
    return _mm512_reduce_add_ps(_mm512_fnmadd_ps(offset, _mm512_set1_ps(4), all));
}

static void wide_matrix_of_256(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end) {
    float sums[MOST_COLS / 16];
    const size_t row_bytes = pf_row_bytes(W.type, W.cols), n_blocks = W.cols / 256;
    const uint8_t *row = (const uint8_t *)W.data + begin * row_bytes;
    if (W.type != PF_Q4_K && W.type != PF_Q5_K) sum_by_16(a.q, W.cols, sums);
    for (size_t r = begin; r < end; r++, row += row_bytes)
        y[r] = W.type == PF_Q4_K   ? wide_row_of_k(row, n_blocks, a, false)
               : W.type == PF_Q5_K ? wide_row_of_k(row, n_blocks, a, true)
               : W.type == PF_Q6_K ? wide_row_of_q6_k(row, n_blocks, a, sums)
               : W.type == PF_Q3_K ? wide_row_of_q3_k(row, n_blocks, a, sums)
                                   : wide_row_of_q2_k(row, n_blocks, a, sums);
}

/* ---- any type ---- */

bool pf_matvec_int8_avx512vnni(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end) {
    switch (W.type) {
    case PF_Q4_0:
        wide_matrix_of_32(W, a, y, begin, end, 18, pf_q4_0, PF_CENTRE, 8, false);
        return true;
    case PF_Q5_0:
        wide_matrix_of_32(W, a, y, begin, end, 22, pf_q5_0, PF_CENTRE, 16, true);
        return true;
    case PF_Q4_1:
        wide_matrix_of_32(W, a, y, begin, end, 20, pf_q4_1, PF_MIN, 0, false);
        return true;
    case PF_Q5_1:
        wide_matrix_of_32(W, a, y, begin, end, 24, pf_q5_1, PF_MIN, 0, true);
        return true;
    default:
        if (pf_type_get(W.type)->block_size != 256 || W.type == PF_IQ4_XS || W.cols > MOST_COLS)
            return pf_matvec_int8(W, a, y, begin, end, PF_INTEL);
        wide_matrix_of_256(W, a, y, begin, end);
        return true;
    }
}

bool pf_matvec_int8_avx512vnni_amd(pf_matrix W, pf_activation a, float *y, size_t begin,
                                   size_t end) {
    return pf_matvec_int8(W, a, y, begin, end, PF_AMD);
}

#else
typedef int pf_no_matvec_avx512vnni; /* ISO C wants one declaration per file */
#endif
