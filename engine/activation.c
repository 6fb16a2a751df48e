/* floor 2.1 - activation: the nonlinearity of an MLP. */
#include "activation.h"

#include "kernels.h"

void pf_activate(pf_mlp_kind kind, float *gate, float *up, size_t n) {
    switch (kind) {
    case PF_MLP_SWIGLU:
        pf_kernels_get()->swiglu(gate, up, n);
        break;
    case PF_MLP_GEGLU:
        pf_kernels_get()->gelu_tanh(gate, n);
        for (size_t i = 0; i < n; i++) gate[i] *= up[i];
        break;
    case PF_MLP_GELU_TANH:
        pf_kernels_get()->gelu_tanh(up, n);
        break;
    case PF_MLP_GELU_ERF:
        pf_kernels_get()->gelu_erf(up, n);
        break;
    case PF_MLP_RELU:
        for (size_t i = 0; i < n; i++) up[i] = up[i] > 0 ? up[i] : 0;
        break;
    }
}
