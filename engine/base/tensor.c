/* floor 1.0 - tensors: ggml's tensor types, and views of matrices stored in them. */
#include "tensor.h"

#include <strings.h>

static const pf_type_info types[PF_TYPE_COUNT] = {
    [PF_F32] = {"f32", 1, 4},           [PF_F16] = {"f16", 1, 2},
    [PF_BF16] = {"bf16", 1, 2},         [PF_Q4_0] = {"q4_0", 32, 18},
    [PF_Q4_1] = {"q4_1", 32, 20},       [PF_Q5_0] = {"q5_0", 32, 22},
    [PF_Q5_1] = {"q5_1", 32, 24},       [PF_Q8_0] = {"q8_0", 32, 34},
    [PF_Q2_K] = {"q2_k", 256, 84},      [PF_Q3_K] = {"q3_k", 256, 110},
    [PF_Q4_K] = {"q4_k", 256, 144},     [PF_Q5_K] = {"q5_k", 256, 176},
    [PF_Q6_K] = {"q6_k", 256, 210},     [PF_IQ4_NL] = {"iq4_nl", 32, 18},
    [PF_IQ4_XS] = {"iq4_xs", 256, 136},
};

const pf_type_info *pf_type_get(uint32_t type) {
    return type < PF_TYPE_COUNT && types[type].name ? &types[type] : NULL;
}

bool pf_type_parse(const char *name, pf_type *type) {
    for (uint32_t i = 0; i < PF_TYPE_COUNT; i++) {
        if (types[i].name && strcasecmp(types[i].name, name) == 0) {
            *type = (pf_type)i;
            return true;
        }
    }
    return false;
}

size_t pf_row_bytes(pf_type type, size_t n) {
    const pf_type_info *info = &types[type];
    return n % info->block_size == 0 ? n / info->block_size * info->block_bytes : 0;
}

pf_matrix pf_matrix_rows(pf_matrix matrix, size_t first, size_t count) {
    const char *data = matrix.data; /* NULL where a model is only being checked */
    if (data) data += first * pf_row_bytes(matrix.type, matrix.cols);
    return (pf_matrix){matrix.type, count, matrix.cols, data};
}
