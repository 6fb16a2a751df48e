/* floor 1.0 - linear algebra: small dense factorisations in double; the only file that sees LAPACK. */
#ifndef PF_LINEAR_ALGEBRA_H
#define PF_LINEAR_ALGEBRA_H

#include <stdbool.h>
#include <stddef.h>

/* A = L L^T of a symmetric A [n, n], row-major: L takes its place, zeros above the diagonal. False if A
 * is not positive definite. */
bool pf_cholesky(double *A, size_t n);

/* L := L^-1 of a lower triangular L [n, n] with a diagonal without zeros. */
bool pf_invert_lower(double *L, size_t n);

/* A = U diag(s) V^T of A [n, n]: U [n, n] and V^T [n, n] row-major, s [n] falling. A is overwritten.
 * work: pf_svd_work(n) doubles. False if the iteration does not converge (a NaN in A). */
bool pf_svd(double *A, size_t n, double *U, double *s, double *Vt, double *work);
size_t pf_svd_work(size_t n);

#endif
