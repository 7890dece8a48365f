#include "common/array/overlap.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <utility>

#include <boost/container/static_vector.hpp>

namespace parcompute {
namespace {

__extension__ using Wide = __int128;

// stride * index, where the index goes from 0 to `most`; both are above 0.
struct Term {
  std::int64_t stride = 0;
  std::int64_t most = 0;
};

// Does a sum of terms reach `target`? Both views' dimensions, and the bytes of an element of each.
class Search {
 public:
  explicit Search(std::uint64_t most_steps) : steps_left_(most_steps) {}

  void add(const ArraySpec& view) {
    for (std::size_t axis = 0; axis < view.ndim(); ++axis)
      // A dimension of one element may have any stride.
      if (view.shape[axis] > 1 && view.strides[axis] != 0) terms_.push_back({std::abs(view.strides[axis]), view.shape[axis] - 1});
    if (itemsize(view.dtype) > 1) terms_.push_back({1, static_cast<std::int64_t>(itemsize(view.dtype)) - 1});
  }

  bool reaches(Wide target) {
    std::sort(terms_.begin(), terms_.end(), [](const Term& a, const Term& b) { return a.stride > b.stride; });
    merge();
    Wide sum = 0;
    std::int64_t divisor = 0;
    for (std::size_t i = terms_.size(); i-- > 0;) {
      sum += Wide(terms_[i].stride) * terms_[i].most;
      divisor = std::gcd(divisor, terms_[i].stride);
      sums_[i] = sum;
      divisors_[i] = divisor;
    }
    return reaches_from(0, target).value_or(true);
  }

 private:
  // Terms of one stride are one.
  void merge() {
    std::size_t kept = 0;
    for (const Term& term : terms_) {
      if (kept > 0 && terms_[kept - 1].stride == term.stride) terms_[kept - 1].most += term.most;
      else terms_[kept++] = term;
    }
    terms_.resize(kept);
  }

  // By the terms from `first` on. Nothing where the steps are used up.
  std::optional<bool> reaches_from(std::size_t first, Wide target) {
    if (first == terms_.size()) return target == 0;
    if (target < 0 || target > sums_[first] || target % divisors_[first] != 0) return false;
    const auto [stride, most] = terms_[first];
    if (first + 1 == terms_.size()) return true;  // it divides the target, which is no more than its most
    const Wide least_index = std::max<Wide>(0, (target - sums_[first + 1] + stride - 1) / stride);
    for (Wide index = std::min<Wide>(most, target / stride); index >= least_index; --index) {
      if (steps_left_ == 0) return std::nullopt;
      --steps_left_;
      if (const auto found = reaches_from(first + 1, target - index * stride); !found || *found) return found;
    }
    return false;
  }

  // Two views' dimensions and the bytes of an element.
  static constexpr std::size_t kMostTerms = 2 * kMaxDims + 2;
  boost::container::static_vector<Term, kMostTerms> terms_;
  std::array<Wide, kMostTerms> sums_{};              // of the terms from there on
  std::array<std::int64_t, kMostTerms> divisors_{};  // their greatest common one
  std::uint64_t steps_left_;
};

bool is_empty(const ArraySpec& view) {
  return std::find(view.shape.begin(), view.shape.end(), 0) != view.shape.end();
}

}  // namespace

ByteRange byte_range(const ArraySpec& view) {
  if (is_empty(view)) return {};
  std::int64_t first = 0, last = 0;
  for (std::size_t axis = 0; axis < view.ndim(); ++axis) {
    const std::int64_t reach = view.strides[axis] * (view.shape[axis] - 1);
    (reach < 0 ? first : last) += reach;
  }
  return {view.offset + static_cast<std::uint64_t>(first), view.offset + static_cast<std::uint64_t>(last) + itemsize(view.dtype)};
}

bool may_overlap(const ArraySpec& a, const ArraySpec& b, std::uint64_t most_steps) {
  const ByteRange of_a = byte_range(a), of_b = byte_range(b);
  if (!of_a.meets(of_b)) return false;
  // Counted from a's first byte upwards and from b's last one downwards, all strides are positive.
  Search search(most_steps);
  search.add(a);
  search.add(b);
  return search.reaches(Wide(of_b.end) - 1 - Wide(of_a.begin));
}

}  // namespace parcompute
