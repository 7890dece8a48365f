// From random words to random numbers, strip by strip, by the instruction set in use.
//
// Each number is a function of its own bits alone, computed with arithmetic and square roots only: the same bits on
// every instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace parcompute {

// Words in a strip: a part of the L1 cache. A multiple of every vector.
inline constexpr std::size_t kRandomStrip = 2048;

// u = (the word's upper 53 bits) / 2^53, as NumPy's Generator.random: low + range * u.
// `stream` says that the output will not be read soon: it passes by the caches where it can.
void uniform_float64(const std::uint64_t* words, std::size_t count, double low, double range, bool stream,
                     double* out);

// u = (the upper 24 bits of each half, the low one first) / 2^24, as NumPy's Generator.random: low + range * u.
void uniform_float32(const std::uint64_t* words, std::size_t count, float low, float range, float* out);

// The standard normal distribution's quantile at p, where the word's top bit is the sign and the other 63 bits m are
// p = (m + 1/2) / 2^64: above 0 and at most 1/2, exact to a double's last bit far into the tail (9.1 standard
// deviations).
void normal_quantiles(const std::uint64_t* words, std::size_t count, double* out);

// -log(p) with p = (word + 1/2) / 2^64: exponential, with exact tails on both sides.
void exponential_quantiles(const std::uint64_t* words, std::size_t count, double* out);

}  // namespace parcompute
