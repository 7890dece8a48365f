// random: strips of the generator's words, made into numbers (plan: common/operation/random_plan.cc).
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "common/operation/random_plan.h"
#include "worker/kernels/kernels_made.h"
#include "worker/kernels/philox.h"
#include "worker/kernels/random_loops.h"

namespace parcompute {
namespace {

__extension__ using Wide = unsigned __int128;

// Larger outputs leave no room in the caches for what is read next, and are not read from there.
constexpr std::uint64_t kStreamedBytes = 32 << 20;

// least + (bits * n) / 2^width of each element's bits, in the dtype T. `Bits` are the pieces that a word falls into,
// the lowest first: as they lie in the memory of a little-endian machine.
template <class T, class Bits>
void write_integers(const std::uint64_t* words, std::size_t count, const IntegerRange& range, T* out) {
  constexpr unsigned kWidth = 8 * sizeof(Bits);
  if constexpr (sizeof(Bits) < 8) {
    static_assert(std::endian::native == std::endian::little);
    const auto* pieces = reinterpret_cast<const std::byte*>(words);
    // n is a power of two, at most 2^kWidth: the product's upper part is a shift.
    const T least = static_cast<T>(range.least);
    const unsigned unused = kWidth - static_cast<unsigned>(std::bit_width(range.last));
    for (std::size_t i = 0; i < count; ++i) {
      Bits bits;
      std::memcpy(&bits, pieces + i * sizeof bits, sizeof bits);
      // n - 1 fits Bits and T, so nothing above their widths counts.
      out[i] = static_cast<T>(least + static_cast<T>(static_cast<unsigned>(bits) >> unused));
    }
  } else {
    const Wide n = Wide{range.last} + 1;
    for (std::size_t i = 0; i < count; ++i)
      out[i] = static_cast<T>(range.least + static_cast<std::uint64_t>((words[i] * n) >> 64));
  }
}

// Two words an element, the low one first: 128 bits times n, the upper 64 bits of 192.
template <class T>
void write_wide_integers(const std::uint64_t* words, std::size_t count, const IntegerRange& range, T* out) {
  const Wide n = Wide{range.last} + 1;
  for (std::size_t i = 0; i < count; ++i) {
    const Wide low = (words[2 * i] * n) >> 64;
    out[i] = static_cast<T>(range.least + static_cast<std::uint64_t>((words[2 * i + 1] * n + low) >> 64));
  }
}

class Random final : public Kernel {
 public:
  explicit Random(KernelJob job) : job_(std::move(job)), random_(job_.operation.random()) {
    stream_ = {{random_.key_low(), random_.key_high()}, random_.counter()};
    const ArraySpec& spec = job_.outputs[0].spec;
    if (random_.has_integers()) range_ = *integer_range(random_.integers(), spec.dtype);  // checked by the plan
    if (random_.has_integers())
      width_ = range_.width;
    else
      width_ = random_.has_uniform() && spec.dtype == DType::kFloat32 ? 32 : 64;
    is_streamed_ = byte_count(spec) >= kStreamedBytes;
  }

  Result<void> run(std::size_t, BlockRange blocks, ScalarBytes&) override {
    const View& output = job_.outputs[0];
    const std::uint64_t elements = element_count(output.spec);
    const std::uint64_t end = std::min(elements, (blocks.first + blocks.count) * kRandomBlockElements);
    const std::uint64_t strip = kRandomStrip * 64 / width_;  // elements
    for (std::uint64_t first = blocks.first * kRandomBlockElements; first < end; first += strip) {
      const std::uint64_t count = std::min(strip, end - first);
      const std::uint64_t words = (count * width_ + 63) / 64;
      philox_words(stream_, first * width_ / 256, {words_.data(), (words + 3) / 4 * 4});
      write(first_element(output) + first * itemsize(output.spec.dtype), static_cast<std::size_t>(count));
    }
    return {};
  }

 private:
  void write(std::byte* to, std::size_t count) {
    if (random_.has_integers()) return write_integers_at(to, count);
    if (job_.outputs[0].spec.dtype == DType::kFloat32) return write_float32(to, count);
    write_float64(to, count);
  }

  void write_float64(std::byte* to, std::size_t count) {
    auto* out = reinterpret_cast<double*>(to);
    if (random_.has_uniform()) {
      const double low = random_.uniform().low();
      uniform_float64(words_.data(), count, low, random_.uniform().high() - low, is_streamed_, out);
    } else {
      make_floats(count);
      std::memcpy(to, floats_.data(), count * sizeof(double));
    }
  }

  void write_float32(std::byte* to, std::size_t count) {
    auto* out = reinterpret_cast<float*>(to);
    if (random_.has_uniform()) {
      const auto low = static_cast<float>(random_.uniform().low());
      uniform_float32(words_.data(), count, low, static_cast<float>(random_.uniform().high()) - low, out);
    } else {
      make_floats(count);
      for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<float>(floats_[i]);
    }
  }

  // Normal and exponential ones, in float64.
  void make_floats(std::size_t count) {
    double offset = 0, scale = 0;
    if (random_.has_normal()) {
      normal_quantiles(words_.data(), count, floats_.data());
      offset = random_.normal().mean();
      scale = random_.normal().standard_deviation();
    } else {
      exponential_quantiles(words_.data(), count, floats_.data());
      scale = random_.exponential().scale();
    }
    for (std::size_t i = 0; i < count; ++i) floats_[i] = offset + scale * floats_[i];
  }

  void write_integers_at(std::byte* to, std::size_t count) {
    // Bools are made as bytes, and signed integers as unsigned ones: the same bytes.
    switch (itemsize(job_.outputs[0].spec.dtype)) {
      case 1:
        return write_integers_as(reinterpret_cast<std::uint8_t*>(to), count);
      case 2:
        return write_integers_as(reinterpret_cast<std::uint16_t*>(to), count);
      case 4:
        return write_integers_as(reinterpret_cast<std::uint32_t*>(to), count);
      default:
        return write_integers_as(reinterpret_cast<std::uint64_t*>(to), count);
    }
  }

  template <class T>
  void write_integers_as(T* out, std::size_t count) {
    switch (width_) {
      case 8:
        return write_integers<T, std::uint8_t>(words_.data(), count, range_, out);
      case 16:
        return write_integers<T, std::uint16_t>(words_.data(), count, range_, out);
      case 32:
        return write_integers<T, std::uint32_t>(words_.data(), count, range_, out);
      case 64:
        return write_integers<T, std::uint64_t>(words_.data(), count, range_, out);
      default:
        return write_wide_integers(words_.data(), count, range_, out);
    }
  }

  KernelJob job_;
  const wire::Random& random_;
  PhiloxStream stream_;
  IntegerRange range_;
  std::uint64_t width_ = 64;  // bits of the stream that an element takes
  bool is_streamed_ = false;
  alignas(64) std::array<std::uint64_t, kRandomStrip> words_;
  alignas(64) std::array<double, kRandomStrip> floats_;
};

}  // namespace

std::unique_ptr<Kernel> make_random(KernelJob job) {
  return std::make_unique<Random>(std::move(job));
}

}  // namespace parcompute
