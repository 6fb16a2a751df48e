/* floor 1.0 - linear algebra: small dense factorisations in double; the only user of LAPACK.
 *
 * OpenBLAS includes LAPACK but not its C prototypes (those are in liblapacke-dev), so the three
 * that we need are declared here. LAPACK's matrices are column-major: it sees our row-major ones
 * transposed. */
#include "linear_algebra.h"

#include <omp.h>

void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info);
void dtrtri_(const char *uplo, const char *diag, const int *n, double *a, const int *lda,
             int *info);
void dgesvd_(const char *jobu, const char *jobvt, const int *m, const int *n, double *a,
             const int *lda, double *s, double *u, const int *ldu, double *vt, const int *ldvt,
             double *work, const int *lwork, int *info);

/* OpenBLAS asks OpenMP how many threads it may use (see matmul.c). These matrices are too small
 * for more than one. */
static int alone(void) {
    int threads = omp_get_max_threads();
    if (threads != 1) omp_set_num_threads(1);
    return threads;
}

static void together(int threads) {
    if (threads != 1) omp_set_num_threads(threads);
}

bool pf_cholesky(double *A, size_t n) {
    int size = (int)n, info = 0, threads = alone();
    dpotrf_("U", &size, A, &size, &info); /* LAPACK's upper triangle is our lower one */
    together(threads);
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++) A[i * n + j] = 0;
    return info == 0;
}

bool pf_invert_lower(double *L, size_t n) {
    int size = (int)n, info = 0, threads = alone();
    dtrtri_("U", "N", &size, L, &size, &info);
    together(threads);
    return info == 0;
}

size_t pf_svd_work(size_t n) { return 16 * n + 64; }

bool pf_svd(double *A, size_t n, double *U, double *s, double *Vt, double *work) {
    int size = (int)n, room = (int)pf_svd_work(n), info = 0, threads = alone();
    /* A^T = V S U^T: their left vectors, read by rows, are our V^T, and their right ones our U */
    dgesvd_("A", "A", &size, &size, A, &size, s, Vt, &size, U, &size, work, &room, &info);
    together(threads);
    return info == 0;
}
