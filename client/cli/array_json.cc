#include <cmath>
#include <type_traits>

#include "client/cli/array_text.h"
#include "client/cli/number_text.h"

namespace parcompute::cli {
namespace {

using Json = nlohmann::ordered_json;

// The smaller integers take the overloads of the wide ones.
template <class T>
Json to_json(T value) {
  if constexpr (std::is_same_v<T, bool> || !std::is_integral_v<T>)
    return element_json(value);
  else if constexpr (std::is_signed_v<T>)
    return element_json(std::int64_t{value});
  else
    return element_json(std::uint64_t{value});
}

template <class T>
Json nested(const Elements& array, std::size_t axis, const std::byte* at) {
  if (axis == array.ndim()) return to_json(load<T>(at));
  Json list = Json::array();
  for (std::int64_t i = 0; i < array.shape[axis]; ++i)
    list.push_back(
        nested<T>(array, axis + 1, array.data == nullptr ? nullptr : at + i * array.strides[axis]));
  return list;
}

}  // namespace

Json element_json(bool value) {
  return value;
}
Json element_json(std::int64_t value) {
  return value;
}
Json element_json(std::uint64_t value) {
  return value;
}
Json element_json(float value) {
  return element_json(double{value});
}
Json element_json(double value) {
  return std::isfinite(value) ? Json(value) : Json(python_repr(value));
}
Json element_json(std::complex<float> value) {
  return python_repr(value);
}
Json element_json(std::complex<double> value) {
  return python_repr(value);
}

Json scalar_json(const Scalar& scalar) {
  return visit_dtype(scalar.dtype, [&]<class T>(T) { return to_json(load<T>(scalar.bytes.data())); });
}

Json array_json(const Elements& array) {
  return visit_dtype(array.dtype, [&]<class T>(T) { return nested<T>(array, 0, array.data); });
}

}  // namespace parcompute::cli
