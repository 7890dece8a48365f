// searchsorted (plan: common/operation/bin_plans.cc): a binary search for each value. Order and equality are NumPy's,
// NaNs last and equal to one another.
#include <cstring>
#include <vector>

#include "common/operation/order_plan.h"
#include "worker/kernels/gather.h"
#include "worker/kernels/kernels_made.h"
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

template <class T>
class SearchSorted final : public Kernel {
 public:
  explicit SearchSorted(KernelJob job)
      : job_(std::move(job)),
        right_(job_.operation.searchsorted().right()),
        length_(element_count(job_.inputs[0].spec)),
        elements_(element_count(job_.inputs[1].spec)) {}

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
    raw_.resize(count * sizeof(T));
    gather(values.spec, values.data, first, count, raw_.data());
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
      at += before(read(base + static_cast<std::int64_t>(at + half - 1) * stride), key) ? half : 0;
      left -= half;
    }
    return at + before(read(base + static_cast<std::int64_t>(at) * stride), key);
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
  std::vector<std::byte> raw_;
};

}  // namespace

std::unique_ptr<Kernel> make_searchsorted(KernelJob job) {
  return visit_dtype(job.inputs[0].spec.dtype, [&](auto x) -> std::unique_ptr<Kernel> {
    return std::make_unique<SearchSorted<decltype(x)>>(std::move(job));
  });
}

}  // namespace parcompute
