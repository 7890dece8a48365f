#include "worker/kernels/blas.h"

#include <cblas.h>

#include <type_traits>

#include "common/base/invariant.h"

namespace parcompute {
namespace {

static_assert(std::is_same_v<blasint, std::int32_t>, "matrices are cut to what 32 bits count");

template <class T>
CBLAS_TRANSPOSE transposition(const BlasMatrix<T>& matrix) {
  return matrix.transposed ? CblasTrans : CblasNoTrans;
}

}  // namespace

void hold_blas_at_one_thread() {
  openblas_set_num_threads(1);
  PARCOMPUTE_INVARIANT(openblas_get_num_threads() == 1);
}

void multiply(std::int32_t m, std::int32_t n, std::int32_t k, BlasMatrix<float> a, BlasMatrix<float> b,
              float* c, std::int32_t ldc) {
  cblas_sgemm(CblasRowMajor, transposition(a), transposition(b), m, n, k, 1.0F, a.data, a.ld, b.data, b.ld,
              0.0F, c, ldc);
}

void multiply(std::int32_t m, std::int32_t n, std::int32_t k, BlasMatrix<double> a, BlasMatrix<double> b,
              double* c, std::int32_t ldc) {
  cblas_dgemm(CblasRowMajor, transposition(a), transposition(b), m, n, k, 1.0, a.data, a.ld, b.data, b.ld,
              0.0, c, ldc);
}

void multiply(std::int32_t m, std::int32_t n, std::int32_t k, BlasMatrix<std::complex<float>> a,
              BlasMatrix<std::complex<float>> b, std::complex<float>* c, std::int32_t ldc) {
  const std::complex<float> one = 1, zero = 0;
  cblas_cgemm(CblasRowMajor, transposition(a), transposition(b), m, n, k, &one, a.data, a.ld, b.data, b.ld, &zero, c,
              ldc);
}

void multiply(std::int32_t m, std::int32_t n, std::int32_t k, BlasMatrix<std::complex<double>> a,
              BlasMatrix<std::complex<double>> b, std::complex<double>* c, std::int32_t ldc) {
  const std::complex<double> one = 1, zero = 0;
  cblas_zgemm(CblasRowMajor, transposition(a), transposition(b), m, n, k, &one, a.data, a.ld, b.data, b.ld, &zero, c,
              ldc);
}

}  // namespace parcompute
