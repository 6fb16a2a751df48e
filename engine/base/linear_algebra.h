/* floor 1.0 - linear algebra: small dense factorisations in double; the only user of LAPACK. */
#ifndef PF_LINEAR_ALGEBRA_H
#define PF_LINEAR_ALGEBRA_H

#include <stdbool.h>
#include <stddef.h>

/* Factors a symmetric A [n, n], row-major, as A = L L^T and replaces it by L, with zeros above the
 * diagonal. False if A is not positive definite. */
bool pf_cholesky(double *A, size_t n);

/* L := L^-1 for a lower triangular L [n, n]. False if the diagonal has a zero. */
bool pf_invert_lower(double *L, size_t n);

/* Factors A [n, n] as A = U diag(s) V^T: U [n, n] and V^T [n, n] row-major, s [n] in descending
 * order. Overwrites A. work: pf_svd_work(n) doubles. False if the iteration does not converge (a
 * NaN in A). */
bool pf_svd(double *A, size_t n, double *U, double *s, double *Vt, double *work);
size_t pf_svd_work(size_t n);

#endif
