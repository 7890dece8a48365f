#include "common/array/dtype.h"

namespace parcompute {

std::optional<DType> dtype_from_number(std::uint32_t number) {
  if (number < 1 || number > kDTypes.size()) return std::nullopt;
  return static_cast<DType>(number);
}

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const DTypeInfo& row : kDTypes)
    if (row.name == name) return row.dtype;
  return std::nullopt;
}

std::string_view dtype_names() {
  return "bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64, complex64, complex128";
}

}  // namespace parcompute
