// searchsorted (plan: common/operation/bin_plans.cc): a binary search for each value. Order and equality are NumPy's,
// NaNs last and equal to one another. Operands of two dtypes are compared in the one that holds both: what is looked at is cast.
#include <cstring>
#include <vector>

#include "common/operation/order_plan.h"
#include "common/array/promotion.h"
#include "worker/kernels/gather.h"
#include "worker/kernels/kernels_made.h"
#include "worker/kernels/loops.h"
#include "worker/kernels/sort_items.h"

namespace parcompute {
namespace {

template <class T>
auto comparable(T x) {
  if constexpr (is_complex_v<T>)
    return complex_key(x, 0);
  else
    return equal_key(x);
}

template <class T, bool kCasts>
class SearchSorted final : public Kernel {
 public:
  explicit SearchSorted(KernelJob job)
      : job_(std::move(job)),
        right_(job_.operation.searchsorted().right()),
        length_(element_count(job_.inputs[0].spec)),
        elements_(element_count(job_.inputs[1].spec)) {
    for (std::size_t i = 0; i < 2; ++i) casts_[i] = find_cast(job_.inputs[i].spec.dtype, dtype_of<T>());
  }

  Result<void> run(std::size_t, BlockRange blocks, ScalarBytes&) override {
    const std::uint64_t first = blocks.first * kSearchBlock;
    const std::uint64_t end = std::min(elements_, (blocks.first + blocks.count) * kSearchBlock);
    for (std::uint64_t at = first; at < end; at += kSearchBlock) search(at, std::min(kSearchBlock, end - at));
    return {};
  }

 private:
  using Key = decltype(comparable(T{}));

  void search(std::uint64_t first, std::uint64_t count) {
    const View& values = job_.inputs[1];
    raw_.resize(count * itemsize(values.spec.dtype));
    gather(values.spec, values.data, first, count, raw_.data());
    if constexpr (kCasts) {
      cast_.resize(count * sizeof(T));
      cast(1, raw_.data(), count, cast_.data());
      raw_.swap(cast_);
    }
    std::byte* to = first_element(job_.outputs[0]) + first * sizeof(std::int64_t);
    for (std::uint64_t i = 0; i < count; ++i, to += sizeof(std::int64_t)) {
      const auto place = static_cast<std::int64_t>(place_of(read(raw_.data() + i * sizeof(T))));
      std::memcpy(to, &place, sizeof place);
    }
  }

  // The number of elements that come before `key`. The steps depend on the length alone: no branch to guess.
  std::uint64_t place_of(const Key& key) const {
    if (length_ == 0) return 0;
    const View& a = job_.inputs[0];
    const std::byte* base = first_element(a);
    const std::int64_t stride = a.spec.strides[0];
    std::uint64_t at = 0;
    for (std::uint64_t left = length_; left > 1;) {
      const std::uint64_t half = left / 2;
      at += before(element(base + static_cast<std::int64_t>(at + half - 1) * stride), key) ? half : 0;
      left -= half;
    }
    return at + before(element(base + static_cast<std::int64_t>(at) * stride), key);
  }

  void cast(std::size_t input, const std::byte* from, std::size_t count, std::byte* to) const {
    Strip strip;
    strip.in[0] = from;
    strip.out = to;
    strip.count = count;
    casts_[input](strip);
  }

  // One of the sorted array's.
  Key element(const std::byte* from) const {
    if constexpr (!kCasts) return read(from);
    alignas(16) std::byte bytes[sizeof(T)];
    cast(0, from, 1, bytes);
    return read(bytes);
  }

  bool before(const Key& element, const Key& key) const {
    return right_ ? !ItemTraits<Key>::less(key, element) : ItemTraits<Key>::less(element, key);
  }

  static Key read(const std::byte* from) {
    if constexpr (std::is_same_v<T, bool>) {
      return static_cast<Key>(*from != std::byte{0});
    } else {
      T x;
      std::memcpy(&x, from, sizeof x);
      return comparable(x);
    }
  }

  KernelJob job_;
  bool right_;
  std::uint64_t length_, elements_;
  std::vector<std::byte> raw_, cast_;
  Loop casts_[2] = {};
};

}  // namespace

std::unique_ptr<Kernel> make_searchsorted(KernelJob job) {
  const DType a = job.inputs[0].spec.dtype, values = job.inputs[1].spec.dtype;
  return visit_dtype(promote(a, values), [&](auto x) -> std::unique_ptr<Kernel> {
    using T = decltype(x);
    if (a == values) return std::make_unique<SearchSorted<T, false>>(std::move(job));
    return std::make_unique<SearchSorted<T, true>>(std::move(job));
  });
}

}  // namespace parcompute
