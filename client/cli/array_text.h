// An array as numpy's str() prints it, and as nested JSON lists.
#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "client/cli/elements.h"
#include "client/cpp/job.h"

namespace parcompute::cli {

// Above this an array is shown by the first and last three items of each axis.
inline constexpr std::uint64_t kSummaryThreshold = 1000;

// Only the elements that are shown are read.
std::string array_text(const Elements& array);

// Above this many elements JSON is no way to carry an array.
inline constexpr std::uint64_t kMaxJsonElements = 10'000'000;

// All elements, axis 0 outermost; a 0-d array is its one value.
nlohmann::ordered_json array_json(const Elements& array);

// JSON has neither NaN, nor infinity, nor complex numbers: these are strings, which Python's float() and
// complex() read.
nlohmann::ordered_json element_json(bool value);
nlohmann::ordered_json element_json(std::int64_t value);
nlohmann::ordered_json element_json(std::uint64_t value);
nlohmann::ordered_json element_json(float value);  // exact: 0.1 as a float is 0.10000000149011612
nlohmann::ordered_json element_json(double value);
nlohmann::ordered_json element_json(std::complex<float> value);
nlohmann::ordered_json element_json(std::complex<double> value);
nlohmann::ordered_json scalar_json(const Scalar& scalar);

}  // namespace parcompute::cli
