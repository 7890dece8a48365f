// RowSorter: the blocks of SortShape, for operations that differ in what they make items of and what they make of
// sorted ones.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "common/operation/order_plan.h"
#include "worker/kernels/gather.h"
#include "worker/kernels/kernel.h"
#include "worker/kernels/sort_runs.h"

namespace parcompute {

// Elements of rows, dense and aligned: where they lie, or a copy.
class RowReader {
 public:
  RowReader(const View& view, const Rows& rows)
      : spec_(rows.spec), data_(view.data), length_(rows.length), dense_(is_c_contiguous(rows.spec)) {}

  template <class T>
  const T* read(std::uint64_t row, std::uint64_t first, std::uint64_t count) {
    const std::uint64_t at = row * length_ + first;
    if (dense_) {
      const std::byte* const bytes = first_element(spec_, data_) + at * sizeof(T);
      if (reinterpret_cast<std::uintptr_t>(bytes) % alignof(T) == 0) return reinterpret_cast<const T*>(bytes);
    }
    copy_.resize((count * sizeof(T) + sizeof(std::max_align_t) - 1) / sizeof(std::max_align_t));
    gather(spec_, data_, at, count, reinterpret_cast<std::byte*>(copy_.data()));
    return reinterpret_cast<const T*>(copy_.data());
  }

 private:
  ArraySpec spec_;
  const std::byte* data_;
  std::uint64_t length_;
  bool dense_;
  std::vector<std::max_align_t> copy_;
};

template <class Item>
class RowSorter {
 public:
  // Writes the items of row elements [first, first + count).
  using Load = std::function<void(std::uint64_t row, std::uint64_t first, std::uint64_t count, Item* to)>;

  RowSorter(const SortShape& shape, std::span<std::byte> scratch, Load load)
      : shape_(shape), scratch_(reinterpret_cast<Item*>(scratch.data())), load_(std::move(load)) {}

  const SortShape& shape() const { return shape_; }

  // A whole short row, sorted. Valid until the next call.
  std::span<const Item> sorted_row(std::uint64_t row) {
    make_room(shape_.length);
    load_(row, 0, shape_.length, items_.data());
    return {sort_items(std::span(items_.data(), shape_.length), spare_.data()), shape_.length};
  }

  // Phase 0 of long rows.
  void sort_run(std::uint64_t block) {
    const std::uint64_t row = block / shape_.runs;
    const std::uint64_t first = block % shape_.runs * shape_.run;
    const std::uint64_t count = std::min(shape_.run, shape_.length - first);
    make_room(count);
    Item* const run = scratch_ + row * shape_.length + first;
    load_(row, first, count, items_.data());
    std::copy_n(sort_items(std::span(items_.data(), count), spare_.data()), count, run);
  }

  // Phase 1 of long rows: items [block % pieces * piece, + piece) of the sorted row. Valid until the next call.
  std::span<const Item> sorted_piece(std::uint64_t block) {
    const std::uint64_t first = block % shape_.pieces * shape_.piece;
    const std::uint64_t count = std::min(shape_.piece, shape_.length - first);
    RunSplit<Item>& runs = split(block / shape_.pieces);
    make_room(count);
    begin_ = runs.at(first);
    const std::vector<std::uint64_t>& end = runs.at(first + count);
    Item* to = items_.data();
    for (std::size_t r = 0; r < begin_.size(); ++r)
      to = std::copy(runs.runs()[r].data() + begin_[r], runs.runs()[r].data() + end[r], to);
    return {sort_items(std::span(items_.data(), count), spare_.data(), Spread::kNarrow), count};
  }

  // Item `rank` of a sorted long row, after phase 0.
  Item item_at(std::uint64_t row, std::uint64_t rank) {
    RunSplit<Item>& runs = split(row);
    begin_ = runs.at(rank);
    const std::vector<std::uint64_t>& end = runs.at(rank + 1);
    std::size_t r = 0;
    while (begin_[r] == end[r]) ++r;
    return runs.runs()[r][begin_[r]];
  }

 private:
  void make_room(std::uint64_t count) {
    if (items_.size() >= count) return;
    items_.resize(count);
    spare_.resize(count);
  }

  RunSplit<Item>& split(std::uint64_t row) {
    if (split_ && split_row_ == row) return *split_;
    std::vector<std::span<const Item>> runs;
    for (std::uint64_t first = 0; first < shape_.length; first += shape_.run)
      runs.push_back({scratch_ + row * shape_.length + first, std::min(shape_.run, shape_.length - first)});
    split_.emplace(std::move(runs));
    split_row_ = row;
    return *split_;
  }

  SortShape shape_;
  Item* scratch_;
  Load load_;
  std::vector<Item> items_, spare_;
  std::vector<std::uint64_t> begin_;
  std::optional<RunSplit<Item>> split_;  // of split_row_
  std::uint64_t split_row_ = 0;
};

// Loads: items of a dtype's elements.
template <class T>
typename RowSorter<KeyOf<T>>::Load load_keys(RowReader reader, bool descending) {
  return [reader = std::move(reader), descending](std::uint64_t row, std::uint64_t first, std::uint64_t count,
                                                  KeyOf<T>* to) mutable {
    // A bool's byte is read as it is: only 0 is false.
    using Stored = std::conditional_t<std::is_same_v<T, bool>, std::uint8_t, T>;
    const Stored* const from = reader.read<Stored>(row, first, count);
    for (std::uint64_t i = 0; i < count; ++i) {
      KeyOf<T> key;
      if constexpr (std::is_same_v<T, bool>)
        key = from[i] != 0;
      else
        key = exact_key(from[i]);
      to[i] = descending ? ItemTraits<KeyOf<T>>::reversed(key) : key;
    }
  };
}

template <class T, class Item>
typename RowSorter<Item>::Load load_indexed(RowReader reader, bool descending) {
  return [reader = std::move(reader), descending](std::uint64_t row, std::uint64_t first, std::uint64_t count,
                                                  Item* to) mutable {
    using Stored = std::conditional_t<std::is_same_v<T, bool>, std::uint8_t, T>;
    const Stored* const from = reader.read<Stored>(row, first, count);
    for (std::uint64_t i = 0; i < count; ++i) {
      if constexpr (is_complex_v<T>) {
        to[i] = complex_key(from[i], first + i);
      } else {
        decltype(Item::key) key;
        if constexpr (std::is_same_v<T, bool>)
          key = from[i] != 0;
        else
          key = equal_key(from[i]);
        to[i] = {key, static_cast<decltype(Item::index)>(first + i)};
      }
      if (descending) to[i] = ItemTraits<Item>::reversed(to[i]);
    }
  };
}

}  // namespace parcompute
