// ArraySpec: how elements lie in a segment's (or a file's) data, in NumPy's terms.
//
// A spec owns no memory and points at none; it is what messages, headers and plans speak of. Strides and offset count
// bytes, as NumPy's do; the offset counts from the first data byte. A spec that came from outside is trusted only
// after check_spec().
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <boost/container/small_vector.hpp>

#include "common/array/dtype.h"
#include "common/base/error.h"

namespace parcompute {

// Specs are copied with every job: the usual ones need nothing from the heap. Public interfaces speak std::vector.
class Dims : public boost::container::small_vector<std::int64_t, 4> {
 public:
  using small_vector::small_vector;
  Dims(const std::vector<std::int64_t>& numbers) : small_vector(numbers.begin(), numbers.end()) {}
  operator std::vector<std::int64_t>() const { return {begin(), end()}; }
};

// NumPy 1's limit; a header page holds that many with ease.
inline constexpr std::size_t kMaxDims = 32;

struct ArraySpec {
  DType dtype = DType::kFloat64;
  Dims shape;
  Dims strides;              // bytes; as many as shape
  std::uint64_t offset = 0;  // bytes from the first data byte to element (0, ..., 0)

  std::size_t ndim() const { return shape.size(); }
  friend bool operator==(const ArraySpec&, const ArraySpec&) = default;
};

enum class Order : std::uint8_t { kC, kFortran };

// Strides of a dense array. The product of shape and itemsize must be known to fit (see make_spec).
Dims dense_strides(DType dtype, const Dims& shape, Order order = Order::kC);

// A dense array at offset 0. Refuses negative dimensions, more than kMaxDims, and sizes past 2^62 bytes.
Result<ArraySpec> make_spec(DType dtype, Dims shape, Order order = Order::kC);

// For a spec from outside: consistent lengths, no overflow, and every element inside `data_bytes`.
Result<void> check_spec(const ArraySpec& spec, std::uint64_t data_bytes);

// For a checked spec. 1 for a 0-d array, 0 where a dimension is 0.
std::uint64_t element_count(const ArraySpec& spec);
std::uint64_t byte_count(const ArraySpec& spec);

// Bytes from element (0, ..., 0) to the element that C order counts as `index`.
std::int64_t element_offset(const ArraySpec& spec, std::uint64_t index);

bool is_c_contiguous(const ArraySpec& spec);
bool is_f_contiguous(const ArraySpec& spec);
// C or Fortran: the elements fill one unbroken run of memory that starts at offset.
bool is_dense(const ArraySpec& spec);
// Every element's address is a multiple of its component size (8 for complex128), given page-aligned data.
bool is_aligned(const ArraySpec& spec);

// "2000x2000", "5", "()" for 0-d
std::string format_shape(const Dims& shape);
// "float64, 2000x2000"
std::string format_spec(const ArraySpec& spec);

// "2000x2000", "5", "" and "()" for 0-d
Result<Dims> parse_shape(std::string_view text);

}  // namespace parcompute
