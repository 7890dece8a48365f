#include "common/array/array_spec.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "common/base/checked.h"

namespace parcompute {
namespace {

// Arrays stay below this, so that sums of a few sizes and offsets cannot overflow 64 bits.
constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 62;

// NumPy's rule: the product over the dimensions, zeros taken as one, must fit; so no later product of some of them overflows.
Result<std::uint64_t> dense_bytes(DType dtype, const Dims& shape) {
  std::uint64_t bytes = itemsize(dtype);
  bool empty = false;
  for (const std::int64_t dim : shape) {
    if (dim < 0)
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("shape {} has a negative dimension; dimensions are 0 or more", format_shape(shape)));
    if (dim == 0) {
      empty = true;
      continue;
    }
    const auto product = checked_mul(bytes, static_cast<std::uint64_t>(dim));
    if (!product || *product > kMaxBytes)
      return fail(ErrorCode::kOverBudget, fmt::format("an array of {}, {} is larger than any memory; choose a smaller shape",
                                                      name(dtype), format_shape(shape)));
    bytes = *product;
  }
  return empty ? 0 : bytes;
}

Result<void> check_dims(const Dims& shape) {
  if (shape.size() > kMaxDims)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("an array of {} dimensions was asked for; the limit is {}", shape.size(), kMaxDims));
  return {};
}

bool has_dense_strides(const ArraySpec& spec, Order order) {
  // A dimension of one element may have any stride.
  if (element_count(spec) == 0) return true;
  auto expected = static_cast<std::int64_t>(itemsize(spec.dtype));
  const std::size_t n = spec.ndim();
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t axis = order == Order::kC ? n - 1 - i : i;
    if (spec.shape[axis] == 1) continue;
    if (spec.strides[axis] != expected) return false;
    expected *= spec.shape[axis];
  }
  return true;
}

}  // namespace

Dims dense_strides(DType dtype, const Dims& shape, Order order) {
  Dims strides(shape.size());
  auto step = static_cast<std::int64_t>(itemsize(dtype));
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const std::size_t axis = order == Order::kC ? shape.size() - 1 - i : i;
    strides[axis] = step;
    step *= std::max<std::int64_t>(shape[axis], 1);
  }
  return strides;
}

Result<ArraySpec> make_spec(DType dtype, Dims shape, Order order) {
  if (auto ok = check_dims(shape); !ok) return fail(ok.error());
  if (auto bytes = dense_bytes(dtype, shape); !bytes) return fail(bytes.error());
  ArraySpec spec{dtype, std::move(shape), {}, 0};
  spec.strides = dense_strides(dtype, spec.shape, order);
  return spec;
}

Result<void> check_spec(const ArraySpec& spec, std::uint64_t data_bytes) {
  if (auto ok = check_dims(spec.shape); !ok) return ok;
  if (spec.strides.size() != spec.shape.size())
    return fail(ErrorCode::kInvalidArgument, fmt::format("an array of {} dimensions came with {} strides",
                                                         spec.shape.size(), spec.strides.size()));
  const auto dense = dense_bytes(spec.dtype, spec.shape);
  if (!dense) return fail(dense.error());
  if (*dense == 0) return {};
  const auto outside = [&] {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("an array of {} reaches outside its {} bytes of data", format_spec(spec), data_bytes));
  };
  // The lowest and the highest address that any element touches.
  __extension__ using Wide = __int128;
  Wide low = static_cast<Wide>(spec.offset);
  Wide high = low + static_cast<Wide>(itemsize(spec.dtype));
  for (std::size_t axis = 0; axis < spec.ndim(); ++axis) {
    const Wide reach = static_cast<Wide>(spec.shape[axis] - 1) * spec.strides[axis];
    (reach < 0 ? low : high) += reach;
    // Each term is below 2^126; the bound keeps a sum of 32 of them inside 128 bits.
    if (low < 0 || high > static_cast<Wide>(kMaxBytes)) return outside();
  }
  if (high > static_cast<Wide>(data_bytes)) return outside();
  return {};
}

std::uint64_t element_count(const ArraySpec& spec) {
  std::uint64_t count = 1;
  for (const std::int64_t dim : spec.shape) {
    if (dim == 0) return 0;
    count *= static_cast<std::uint64_t>(dim);
  }
  return count;
}

std::uint64_t byte_count(const ArraySpec& spec) {
  return element_count(spec) * itemsize(spec.dtype);
}

std::int64_t element_offset(const ArraySpec& spec, std::uint64_t index) {
  std::int64_t offset = 0;
  for (std::size_t axis = spec.ndim(); axis-- > 0 && index != 0;) {
    const auto dim = static_cast<std::uint64_t>(spec.shape[axis]);
    offset += static_cast<std::int64_t>(index % dim) * spec.strides[axis];
    index /= dim;
  }
  return offset;
}

bool is_c_contiguous(const ArraySpec& spec) {
  return has_dense_strides(spec, Order::kC);
}

bool is_f_contiguous(const ArraySpec& spec) {
  return has_dense_strides(spec, Order::kFortran);
}

bool is_dense(const ArraySpec& spec) {
  return is_c_contiguous(spec) || is_f_contiguous(spec);
}

bool is_aligned(const ArraySpec& spec) {
  const std::uint64_t component = info(spec.dtype).kind == Kind::kComplex ? itemsize(spec.dtype) / 2 : itemsize(spec.dtype);
  const auto multiple = [&](std::int64_t value) { return value % static_cast<std::int64_t>(component) == 0; };
  return spec.offset % component == 0 && std::all_of(spec.strides.begin(), spec.strides.end(), multiple);
}

std::string format_shape(const Dims& shape) {
  if (shape.empty()) return "()";
  std::string text = std::to_string(shape.front());
  for (std::size_t axis = 1; axis < shape.size(); ++axis) text.append("x").append(std::to_string(shape[axis]));
  return text;
}

std::string format_spec(const ArraySpec& spec) {
  return fmt::format("{}, {}", name(spec.dtype), format_shape(spec.shape));
}

Result<Dims> parse_shape(std::string_view text) {
  Result<Dims> shape(tl::in_place);
  if (text.empty() || text == "()") return shape;
  const auto refuse = [&] {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("'{}' is not a shape: write dimensions joined by x, such as 2000x2000", text));
  };
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    std::int64_t dim = 0;
    const auto [next, error] = std::from_chars(at, end, dim);
    if (error != std::errc{} || dim < 0 || *at == '-') return refuse();
    shape->push_back(dim);
    if (next == end) break;
    if (*next != 'x' || next + 1 == end) return refuse();
    at = next + 1;
  }
  if (auto ok = check_dims(*shape); !ok) return fail(ok.error());
  return shape;
}

}  // namespace parcompute
