// Scalar: one element of any dtype.
#pragma once

#include <array>
#include <cstddef>

#include "common/array/dtype.h"

namespace parcompute {

// One element, as its dtype's C++ type is.
struct Scalar {
  DType dtype = DType::kFloat64;
  std::array<std::byte, 16> bytes{};

  // The value as T: T must be the dtype's element type (throws Failure, kInvalidArgument).
  template <class T>
  T as() const;
};

}  // namespace parcompute
