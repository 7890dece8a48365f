// Products with one column: a matrix by a vector, or many pairs of rows. Memory is what they wait for, so each element is
// read once, where it lies, and nothing but other dtypes and gaps between elements makes a copy.
//
// What a sum is does not depend on how its operands lie: rows are summed as dot_simd.h says, packed or not. Only a matrix
// by columns is summed in another order, column after column.
#include <algorithm>
#include <complex>
#include <cstring>
#include <type_traits>
#include <vector>

#include "worker/kernels/canonical.h"
#include "worker/kernels/contraction_kernel.h"
#include "worker/kernels/dot_simd.h"
#include "worker/kernels/pairwise.h"

namespace parcompute {
namespace {

// E: elements of the product's dtype. P: sums. T: elements of the result, P rounded.
template <class E, class P, class T>
class VectorProduct final : public ContractionKernel {
 public:
  VectorProduct(KernelJob job, Contraction c, const MatmulTiling& tiling)
      : ContractionKernel(std::move(job), std::move(c), tiling) {}

 private:
  static constexpr auto kSize = static_cast<std::int64_t>(sizeof(E));
  static constexpr std::int64_t kRowsAtOnce = 256;
  static constexpr std::int64_t kPackedElements = 16 * 1024;
  // Of the vector, for all of a tile's rows. A longer one is packed piece by piece, for some rows at a time: how long a
  // view is says nothing about the memory that there is for a copy.
  static constexpr std::int64_t kMostPacked = 256 * 1024;

  void multiply(const Tile& tile) override {
    sums_.resize(static_cast<std::size_t>(std::max(kRowsAtOnce, tiling().by_columns ? tile.a.rows : 0)));
    if (tiling().by_columns)
      multiply_columns(tile);
    else
      multiply_rows(tile);
  }

  bool is_dense(const Part& vector) const { return b_dtype() == dtype() && (vector.row_stride == kSize || vector.rows == 1); }

  const std::byte* packed(const Part& vector) {
    packed_b_.resize(static_cast<std::size_t>(vector.rows));
    pack(vector, b_dtype(), packed_b_.data(), 1);
    return reinterpret_cast<const std::byte*>(packed_b_.data());
  }

  void multiply_columns(const Tile& tile) {
    std::fill_n(sums_.begin(), tile.a.rows, P{0});
    const std::int64_t most = is_dense(tile.b) ? tile.a.columns : kMostPacked;
    for (std::int64_t begin = 0; begin < tile.a.columns; begin += most) {
      const std::int64_t columns = std::min(most, tile.a.columns - begin);
      const Part vector = tile.b.part(begin, columns, 0, 1);
      add_columns({dtype(), tile.a.data + begin * tile.a.column_stride, tile.a.column_stride, tile.a.rows, columns,
                   is_dense(tile.b) ? vector.data : packed(vector)},
                  sums_.data());
    }
    store(tile, 0, tile.a.rows);
  }

  void multiply_rows(const Tile& tile) {
    const std::int64_t by_row = contraction().b_by_row;
    const bool dense_a = a_dtype() == dtype() && (tile.a.column_stride == kSize || tile.a.columns == 1);
    bool dense_b = is_dense(tile.b);
    Part b = tile.b;
    if (by_row == 0 && !dense_b && b.rows <= kMostPacked) {
      b.data = packed(tile.b);
      b.row_stride = kSize;
      dense_b = true;
    }
    RowDots dots{dtype(), tile.a.data, tile.a.row_stride, b.data, by_row, 0, tile.a.columns, contraction().conjugates};
    for (std::int64_t row = 0; row < tile.a.rows; row += kRowsAtOnce) {
      const std::int64_t count = std::min(kRowsAtOnce, tile.a.rows - row);
      if (dense_a && dense_b) {
        dots.rows = count;
        dot_rows(dots, sums_.data());
        dots.a += count * dots.a_row;
        dots.b += count * dots.b_row;
      } else {
        multiply_packed(tile, b, row, count, dense_a, dense_b);
      }
      store(tile, row, count);
    }
  }

  // Some rows, a run of products at a time.
  void multiply_packed(const Tile& tile, const Part& b, std::int64_t first, std::int64_t rows, bool dense_a, bool dense_b) {
    const std::int64_t by_row = contraction().b_by_row;
    const std::int64_t run = std::min(kDotRun, tile.a.columns);
    const std::int64_t at_once = std::max<std::int64_t>(1, kPackedElements / run);
    std::vector<P> run_sums(static_cast<std::size_t>(at_once));
    std::vector<PairwiseSum<P>> totals(static_cast<std::size_t>(at_once));
    for (std::int64_t row = first; row < first + rows; row += at_once) {
      const std::int64_t count = std::min(at_once, first + rows - row);
      std::fill_n(totals.begin(), count, PairwiseSum<P>{});
      for (std::int64_t begin = 0; begin < tile.a.columns; begin += run) {
        const std::int64_t length = std::min(run, tile.a.columns - begin);
        RowDots dots{dtype(), nullptr, 0, nullptr, 0, count, length, contraction().conjugates};
        set(tile.a.part(row, count, begin, length), a_dtype(), dense_a, packed_a_, dots.a, dots.a_row);
        const Part part{b.data + row * by_row + begin * b.row_stride, by_row == 0 ? 1 : count, length, by_row, b.row_stride};
        set(part, b_dtype(), dense_b, packed_b_, dots.b, dots.b_row);
        if (by_row == 0) dots.b_row = 0;
        dot_rows(dots, run_sums.data());
        for (std::int64_t r = 0; r < count; ++r)
          totals[static_cast<std::size_t>(r)].push(run_sums[static_cast<std::size_t>(r)]);
      }
      for (std::int64_t r = 0; r < count; ++r)
        sums_[static_cast<std::size_t>(row - first + r)] = totals[static_cast<std::size_t>(r)].total();
    }
  }

  void set(const Part& part, DType from, bool is_dense, std::vector<E>& packed, const std::byte*& data,
           std::int64_t& row_stride) {
    if (is_dense) {
      data = part.data;
      row_stride = part.row_stride;
      return;
    }
    packed.resize(static_cast<std::size_t>(part.rows * part.columns));
    pack(part, from, packed.data(), part.columns);
    data = reinterpret_cast<const std::byte*>(packed.data());
    row_stride = part.columns * kSize;
  }

  void store(const Tile& tile, std::int64_t row, std::int64_t count) const {
    if (tile.is_partial) {
      std::copy_n(sums_.begin(), count, reinterpret_cast<P*>(tile.to) + row * tile.to_row);
      return;
    }
    T* to = reinterpret_cast<T*>(tile.to) + row * tile.to_row;
    for (std::int64_t r = 0; r < count; ++r, to += tile.to_row) *to = canonical(static_cast<T>(sums_[static_cast<std::size_t>(r)]));
  }

  std::vector<E> packed_a_, packed_b_;
  std::vector<P> sums_;
};

}  // namespace

std::unique_ptr<Kernel> make_vector_product(KernelJob job, Contraction c, const MatmulTiling& tiling) {
  const auto make = [&](auto element, auto sum) -> std::unique_ptr<Kernel> {
    using E = decltype(element);
    return std::make_unique<VectorProduct<E, decltype(sum), E>>(std::move(job), std::move(c), tiling);
  };
  switch (c.dtype) {
    case DType::kBool: return make(std::uint8_t{}, std::uint8_t{});
    case DType::kFloat32: return make(float{}, double{});
    case DType::kFloat64: return make(double{}, double{});
    case DType::kComplex64: return make(std::complex<float>{}, std::complex<double>{});
    case DType::kComplex128: return make(std::complex<double>{}, std::complex<double>{});
    default: break;
  }
  switch (itemsize(c.dtype)) {
    case 1: return make(std::uint8_t{}, std::uint16_t{});
    case 2: return make(std::uint16_t{}, std::uint16_t{});
    case 4: return make(std::uint32_t{}, std::uint32_t{});
    default: return make(std::uint64_t{}, std::uint64_t{});
  }
}

}  // namespace parcompute
