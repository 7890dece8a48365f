// Sorting of a run, and the parts of sorted runs that make up a piece of their union.
//
// Both are stable: equal items keep the order that they have in a run, and runs theirs. Nothing here depends on the
// instruction set.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "worker/kernels/sort_items.h"

namespace parcompute {

namespace sorting {

inline constexpr std::size_t kInsertionItems = 32;
// Counting digits costs more than comparisons below this.
inline constexpr std::size_t kRadixItems = 1024;
// A radix pass over more bytes than the cache holds is slower than merging.
inline constexpr std::size_t kRadixBytes = 1024 * 1024;
inline constexpr unsigned kDigitBits = 11;

// False where more than `budget` moves would be needed: the items are then a permutation of what they were.
template <class Item>
bool insertion_sort(std::span<Item> items, std::uint64_t budget) {
  for (std::size_t i = 1; i < items.size(); ++i) {
    if (!ItemTraits<Item>::less(items[i], items[i - 1])) continue;
    const Item x = items[i];
    std::size_t at = i;
    do items[at] = items[at - 1];
    while (--at > 0 && ItemTraits<Item>::less(x, items[at - 1]));
    items[at] = x;
    if (budget < i - at) return false;
    budget -= i - at;
  }
  return true;
}

// Without a branch to guess: what is taken is decided by arithmetic.
template <class Item>
void merge(std::span<const Item> left, std::span<const Item> right, Item* to) {
  const Item *a = left.data(), *a_end = a + left.size();
  const Item *b = right.data(), *b_end = b + right.size();
  while (a != a_end && b != b_end) {
    const bool take_right = ItemTraits<Item>::less(*b, *a);
    *to++ = take_right ? *b : *a;
    b += take_right;
    a += !take_right;
  }
  std::copy(b, b_end, std::copy(a, a_end, to));
}

// Keys less `least`, without their last `shift` bits, are sorted by `passes` digits of `width` bits, from the last.
// Returns where the result lies: `items` or `spare`.
template <class Item>
Item* radix_passes(std::span<Item> items, Item* spare, typename ItemTraits<Item>::Key least, unsigned shift,
                   unsigned passes, unsigned width) {
  using Key = typename ItemTraits<Item>::Key;
  constexpr unsigned kMostPasses = (8 * sizeof(Key) + kDigitBits - 1) / kDigitBits;
  std::array<std::array<std::uint32_t, std::size_t{1} << kDigitBits>, kMostPasses> places;
  const std::uint64_t mask = (std::uint64_t{1} << width) - 1;
  for (unsigned pass = 0; pass < passes; ++pass) std::fill_n(places[pass].begin(), mask + 1, 0);
  const auto rank = [&](const Item& item) {
    return static_cast<std::uint64_t>(static_cast<Key>(ItemTraits<Item>::key(item) - least)) >> shift;
  };
  for (const Item& item : items) {
    std::uint64_t digits = rank(item);
    for (unsigned pass = 0; pass < passes; ++pass, digits >>= width) ++places[pass][digits & mask];
  }
  Item* from = items.data();
  Item* to = spare;
  for (unsigned pass = 0; pass < passes; ++pass) {
    std::uint32_t before = 0;
    for (std::uint64_t digit = 0; digit <= mask; ++digit) {
      const std::uint32_t count = places[pass][digit];
      places[pass][digit] = before;
      before += count;
    }
    for (std::size_t i = 0; i < items.size(); ++i)
      to[places[pass][rank(from[i]) >> (pass * width) & mask]++] = from[i];
    std::swap(from, to);
  }
  return from;
}

// The first bits in which keys differ order most of them; insertions do the rest. `digits` of them are tried first.
// Where that leaves too much to the insertions, all bits are sorted.
template <class Item>
Item* radix_sort(std::span<Item> items, Item* spare, unsigned digits) {
  using Key = typename ItemTraits<Item>::Key;
  Key least = ItemTraits<Item>::key(items[0]), most = least;
  for (const Item& item : items) {
    least = std::min(least, ItemTraits<Item>::key(item));
    most = std::max(most, ItemTraits<Item>::key(item));
  }
  const auto bits = static_cast<unsigned>(std::bit_width(static_cast<std::uint64_t>(static_cast<Key>(most - least))));
  if (bits == 0) return items.data();
  const auto sort_first = [&](unsigned used) {
    const unsigned passes = (used + kDigitBits - 1) / kDigitBits;
    const unsigned width = (used + passes - 1) / passes;
    return radix_passes(items, spare, least, bits - used, passes, width);
  };
  // Half a digit more is not worth the insertions.
  const unsigned first = digits * kDigitBits;
  if (bits <= first + kDigitBits / 2) return sort_first(bits);
  Item* const sorted = sort_first(first);
  if (insertion_sort(std::span(sorted, items.size()), 4 * items.size())) return sorted;
  // What was done so far, insertions too, kept equal items in their order.
  if (sorted != items.data()) std::copy_n(sorted, items.size(), items.data());
  return sort_first(bits);
}

}  // namespace sorting

// Where keys are expected to lie: anywhere, or evenly in a part of their range, as those of a piece of a sorted row
// do.
enum class Spread : std::uint8_t { kWide, kNarrow };

// `spare` has room for as many items. Returns where the result lies: in `items` or in `spare`.
template <class Item>
Item* sort_items(std::span<Item> items, Item* spare, Spread spread = Spread::kWide) {
  const std::size_t count = items.size();
  if (count <= sorting::kInsertionItems) {
    sorting::insertion_sort(items, ~std::uint64_t{0});
    return items.data();
  }
  const auto less = [](const Item& a, const Item& b) { return ItemTraits<Item>::less(a, b); };
  if (std::is_sorted(items.begin(), items.end(), less)) return items.data();
  if constexpr (requires { typename ItemTraits<Item>::Key; })
    if (count >= sorting::kRadixItems && count * sizeof(Item) <= sorting::kRadixBytes)
      return sorting::radix_sort(items, spare, spread == Spread::kNarrow ? 2 : 3);
  const std::size_t half = count / 2;
  const Item* const left = sort_items(items.first(half), spare, spread);
  const Item* const right = sort_items(items.subspan(half), spare + half, spread);
  if (left != spare) std::copy_n(left, half, spare);
  if (right != spare + half) std::copy_n(right, count - half, spare + half);
  sorting::merge<Item>({spare, half}, {spare + half, count - half}, items.data());
  return items.data();
}

// How many items of each of several sorted runs are among the first `target` of their union. A selection: an item
// from the middle of what is undecided splits every run, and the side without the target is decided. Kept between
// calls, it starts where the last one ended.
template <class Item>
class RunSplit {
 public:
  explicit RunSplit(std::vector<std::span<const Item>> runs) : runs_(std::move(runs)), low_(runs_.size()) {}

  const std::vector<std::span<const Item>>& runs() const { return runs_; }

  // `target` is at most the number of all items.
  const std::vector<std::uint64_t>& at(std::uint64_t target) {
    const auto less = [](const Item& a, const Item& b) { return ItemTraits<Item>::less(a, b); };
    if (target < decided_) {
      std::fill(low_.begin(), low_.end(), 0);
      decided_ = 0;
    }
    high_.resize(runs_.size());
    lower_.resize(runs_.size());
    upper_.resize(runs_.size());
    std::uint64_t undecided = 0;
    for (std::size_t r = 0; r < runs_.size(); ++r) {
      high_[r] = runs_[r].size();
      undecided += high_[r] - low_[r];
    }
    std::uint64_t step = 0;
    while (decided_ < target) {
      const Item pivot = choose_pivot(target - decided_, undecided, step++);
      std::uint64_t lower_total = 0, upper_total = 0;
      for (std::size_t r = 0; r < runs_.size(); ++r) {
        const Item* const run = runs_[r].data();
        const auto is_less = [&](const Item& item) { return less(item, pivot); };
        const auto is_no_more = [&](const Item& item) { return !less(pivot, item); };
        const Item* const lower = first_not(run + low_[r], run + high_[r], is_less);
        const Item* const upper = first_not(lower, run + high_[r], is_no_more);
        lower_[r] = static_cast<std::uint64_t>(lower - run);
        upper_[r] = static_cast<std::uint64_t>(upper - run);
        lower_total += lower_[r] - low_[r];
        upper_total += upper_[r] - low_[r];
      }
      if (decided_ + lower_total > target) {
        high_ = lower_;
        undecided = lower_total;
      } else if (decided_ + upper_total <= target) {
        low_ = upper_;
        decided_ += upper_total;
        undecided -= upper_total;
      } else {
        // The target is among the pivot's equals: of these, the first runs' come first.
        std::uint64_t left = target - decided_ - lower_total;
        for (std::size_t r = 0; r < runs_.size(); ++r) {
          const std::uint64_t equals = std::min(left, upper_[r] - lower_[r]);
          low_[r] = lower_[r] + equals;
          left -= equals;
        }
        decided_ = target;
      }
    }
    return low_;
  }

 private:
  // The end of the items for which `holds`, which come first. It is mostly near: looked for in growing steps, then
  // between.
  template <class Holds>
  static const Item* first_not(const Item* begin, const Item* end, const Holds& holds) {
    for (std::ptrdiff_t step = 1; begin != end; step *= 4) {
      const Item* const probe = begin + std::min(step, end - begin) - 1;
      if (!holds(*probe)) return std::partition_point(begin, probe, holds);
      begin = probe + 1;
    }
    return end;
  }

  // In turn an item at the target's share of a run, which is near the target where runs are alike, and one at a
  // random share, which halves what is undecided whatever the runs are. The run is drawn by its undecided items.
  Item choose_pivot(std::uint64_t wanted, std::uint64_t undecided, std::uint64_t step) {
    random_ = random_ * 6364136223846793005U + 1442695040888963407U;
    std::uint64_t at = (random_ >> 16) % undecided;
    std::size_t r = 0;
    while (at >= high_[r] - low_[r]) at -= high_[r] - low_[r], ++r;
    const std::uint64_t size = high_[r] - low_[r];
    if (step % 3 != 2) {
      const double share = static_cast<double>(wanted) / static_cast<double>(undecided);
      at = std::min(size - 1, static_cast<std::uint64_t>(share * static_cast<double>(size)));
    }
    return runs_[r][low_[r] + at];
  }

  std::vector<std::span<const Item>> runs_;
  std::vector<std::uint64_t> low_, high_, lower_, upper_;  // low_: decided to be before the target
  std::uint64_t decided_ = 0;
  std::uint64_t random_ = 1;
};

}  // namespace parcompute
