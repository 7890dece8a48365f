// The only door to OpenBLAS: products with alpha = 1 and beta = 0, on one thread.
#pragma once

#include <complex>
#include <cstdint>

namespace parcompute {

// For the worker's start, before the fork. Ends the process where OpenBLAS keeps more than one thread.
//
// OpenBLAS starts its threads when it is loaded: OPENBLAS_NUM_THREADS=1 must stand in the environment of the
// exec, or idle threads are there already. This call makes sure that they get no work.
void hold_blas_at_one_thread();

// A matrix as BLAS reads it: rows (or, where transposed, columns) `ld` elements apart.
template <class T>
struct BlasMatrix {
  const T* data = nullptr;
  std::int32_t ld = 1;
  bool transposed = false;
};

// c = a b, in rows `ldc` elements apart, for m, n, k above 0. What stood in c is not read: with beta = 0
// alone, OpenBLAS treats NaN in it the same at every size.
void multiply(std::int32_t m, std::int32_t n, std::int32_t k, BlasMatrix<float> a, BlasMatrix<float> b,
              float* c, std::int32_t ldc);
void multiply(std::int32_t m, std::int32_t n, std::int32_t k, BlasMatrix<double> a, BlasMatrix<double> b,
              double* c, std::int32_t ldc);
void multiply(std::int32_t m, std::int32_t n, std::int32_t k, BlasMatrix<std::complex<float>> a,
              BlasMatrix<std::complex<float>> b, std::complex<float>* c, std::int32_t ldc);
void multiply(std::int32_t m, std::int32_t n, std::int32_t k, BlasMatrix<std::complex<double>> a,
              BlasMatrix<std::complex<double>> b, std::complex<double>* c, std::int32_t ldc);

}  // namespace parcompute
