// Sorting of a run, and the parts of sorted runs that make up a piece of their union.
//
// Both are stable: equal items keep the order that they have in a run, and runs theirs. Nothing here depends on the
// instruction set.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "worker/kernels/sort_items.h"

namespace parcompute {

namespace sorting {

inline constexpr std::size_t kInsertionItems = 32;
// Counting 256 values costs more than comparisons below this.
inline constexpr std::size_t kRadixItems = 256;
// A radix pass over more bytes than the cache holds is slower than merging.
inline constexpr std::size_t kRadixBytes = 1024 * 1024;

template <class Item>
void insertion_sort(std::span<Item> items) {
  for (std::size_t i = 1; i < items.size(); ++i) {
    const Item x = items[i];
    std::size_t at = i;
    for (; at > 0 && ItemTraits<Item>::less(x, items[at - 1]); --at) items[at] = items[at - 1];
    items[at] = x;
  }
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

// By bytes from the least significant; bytes that all items share are skipped. The result lies in `items`.
template <class Item>
void radix_sort(std::span<Item> items, Item* spare) {
  using Traits = ItemTraits<Item>;
  std::array<std::array<std::uint32_t, 256>, Traits::kDigits> counts{};
  for (const Item& item : items)
    for (unsigned digit = 0; digit < Traits::kDigits; ++digit) ++counts[digit][Traits::digit(item, digit)];
  Item* from = items.data();
  Item* to = spare;
  for (unsigned digit = 0; digit < Traits::kDigits; ++digit) {
    auto& places = counts[digit];
    if (places[Traits::digit(from[0], digit)] == items.size()) continue;
    std::uint32_t before = 0;
    for (std::uint32_t& place : places) {
      const std::uint32_t count = place;
      place = before;
      before += count;
    }
    for (std::size_t i = 0; i < items.size(); ++i) to[places[Traits::digit(from[i], digit)]++] = from[i];
    std::swap(from, to);
  }
  if (from != items.data()) std::copy_n(from, items.size(), items.data());
}

}  // namespace sorting

// `spare` has room for as many items.
template <class Item>
void sort_items(std::span<Item> items, Item* spare) {
  const std::size_t count = items.size();
  if (count <= sorting::kInsertionItems) return sorting::insertion_sort(items);
  if (std::is_sorted(items.begin(), items.end(), ItemTraits<Item>::less)) return;
  if (count >= sorting::kRadixItems && count * sizeof(Item) <= sorting::kRadixBytes)
    return sorting::radix_sort(items, spare);
  const std::size_t half = count / 2;
  const std::span<Item> left = items.first(half), right = items.subspan(half);
  sort_items(left, spare);
  sort_items(right, spare);
  std::copy_n(items.data(), count, spare);
  sorting::merge<Item>({spare, half}, {spare + half, count - half}, items.data());
}

// How many items of each of several sorted runs are among the first `target` of their union. A selection: an item from the
// middle of what is undecided splits every run, and the side without the target is decided. Kept between calls, it
// starts where the last one ended.
template <class Item>
class RunSplit {
 public:
  explicit RunSplit(std::vector<std::span<const Item>> runs) : runs_(std::move(runs)), low_(runs_.size()) {}

  const std::vector<std::span<const Item>>& runs() const { return runs_; }

  // `target` is at most the number of all items.
  const std::vector<std::uint64_t>& at(std::uint64_t target) {
    const auto less = ItemTraits<Item>::less;
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
        const Item* const lower = std::lower_bound(run + low_[r], run + high_[r], pivot, less);
        const Item* const upper = std::upper_bound(lower, run + high_[r], pivot, less);
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
  // In turn an item at the target's share of a run, which is near the target where runs are alike, and one at a random
  // share, which halves what is undecided whatever the runs are. The run is drawn by its undecided items.
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
