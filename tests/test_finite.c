/* floor 6.1 - test_finite: NaN and infinity are found anywhere in a row of any type. */
#include "testing.h"

#include "finite.h"
#include "quant.h"

#include <math.h>
#include <string.h>

enum { N = 512 };

/* Against the dequantised values, for 16-bit patterns at every place of a row. */
static void agrees_with_the_values(void **state) {
    (void)state;
    static float values[N];
    for (uint32_t type = 0; type < PF_TYPE_COUNT; type++) {
        if (!pf_type_get(type)) continue;
        size_t bytes = pf_row_bytes((pf_type)type, N);
        static const uint16_t patterns[] = {0x7C00, 0x7E00, 0xFC01, 0x7BFF, 0x7F80,
                                            0x7FC0, 0xFF80, 0x3C00, 0};
        for (size_t at = 0; at + 2 <= bytes; at += 2)
            for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++) {
                uint8_t row[N * 4] = {0};
                memset(row, 1, bytes); /* small integers and scales */
                memcpy(row + at, &patterns[p], 2);
                pf_dequantize_row((pf_type)type, row, values, N);
                bool finite = true;
                for (size_t i = 0; i < N; i++) finite = finite && isfinite(values[i]);
                if (pf_row_is_finite((pf_type)type, row, N) != finite)
                    fail_msg("type %s, pattern %x at byte %zu", pf_type_get(type)->name,
                             patterns[p], at);
            }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_the_values)};
    return cmocka_run_group_tests_name("finite", tests, NULL, NULL);
}
