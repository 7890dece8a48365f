// unique (plan: common/operation/sort_plans.cc). Phases 0 and 1 sort; a piece loses its repetitions before it is put
// down. Phase 2 moves the pieces together, without what the piece before ended with.
#include <cstring>

#include "worker/kernels/bin_counts.h"
#include "worker/kernels/kernels_made.h"
#include "worker/kernels/pages.h"
#include "worker/kernels/row_sorter.h"

namespace parcompute {
namespace {

// Of real elements T by their keys; complex ones by key and index.
template <class T>
struct Distinct {
  using Item = KeyOf<T>;
  static bool same(Item a, Item b) {
    if constexpr (std::is_floating_point_v<T>)
      return equal_key(element_of<T>(a)) == equal_key(element_of<T>(b));
    else
      return a == b;
  }
  static typename RowSorter<Item>::Load load(RowReader reader) { return load_keys<T>(std::move(reader), false); }
  static T element(const View&, Item item) { return element_of<T>(item); }
};
template <class T>
requires is_complex_v<T>
struct Distinct<T> {
  using Item = IndexedPair;
  // All numbers with a NaN count as one, as in NumPy.
  static bool same(const Item& a, const Item& b) {
    return (a.high >= kFirstNanHigh && b.high >= kFirstNanHigh) || (a.high == b.high && a.low == b.low);
  }
  static RowSorter<Item>::Load load(RowReader reader) { return load_indexed<T, Item>(std::move(reader), false); }
  static T element(const View& view, const Item& item) {
    T x;
    gather(view.spec, view.data, item.index, 1, reinterpret_cast<std::byte*>(&x));
    return x;
  }
};

template <class T>
class Unique final : public Kernel {
 public:
  explicit Unique(KernelJob job)
      : job_(std::move(job)),
        sorter_(shape_sort(1, element_count(job_.inputs[0].spec), sizeof(Item)), job_.scratch,
                Distinct<T>::load(RowReader(job_.inputs[0], flat_rows(job_.inputs[0])))) {
    const UniqueScratch scratch = unique_scratch(sorter_.shape());
    pieces_ = reinterpret_cast<Item*>(job_.scratch.data() + scratch.pieces_at);
    counts_ = reinterpret_cast<std::uint64_t*>(job_.scratch.data() + scratch.counts_at);
  }

  Result<void> run(std::size_t phase, BlockRange blocks, ScalarBytes& value) override {
    if (!sorter_.shape().is_long()) {
      distinct_.resize(sorter_.shape().length);
      const std::uint64_t count = keep_distinct(sorter_.sorted_row(0), distinct_.data());
      write({distinct_.data(), count}, 0);
      end(count, value);
      return {};
    }
    for (std::uint64_t block = blocks.first; block < blocks.first + blocks.count; ++block) {
      if (phase == 0)
        sorter_.sort_run(block);
      else if (phase == 1)
        counts_[block] = keep_distinct(sorter_.sorted_piece(block), pieces_ + block * sorter_.shape().piece);
      else
        move_together(block, value);
    }
    return {};
  }

 private:
  using Item = typename Distinct<T>::Item;

  static std::uint64_t keep_distinct(std::span<const Item> sorted, Item* to) {
    std::uint64_t count = 0;
    for (const Item& item : sorted)
      if (count == 0 || !Distinct<T>::same(to[count - 1], item)) to[count++] = item;
    return count;
  }

  // A piece's distinct items that the pieces before it do not have.
  std::span<const Item> own_items(std::uint64_t piece) const {
    const Item* const items = pieces_ + piece * sorter_.shape().piece;
    if (piece == 0) return {items, counts_[piece]};
    const Item& before = items[-static_cast<std::ptrdiff_t>(sorter_.shape().piece) +
                               static_cast<std::ptrdiff_t>(counts_[piece - 1]) - 1];
    const std::uint64_t repeated = Distinct<T>::same(before, items[0]);
    return {items + repeated, counts_[piece] - repeated};
  }

  void move_together(std::uint64_t piece, ScalarBytes& value) {
    if (piece < summed_) summed_ = before_ = 0;
    for (; summed_ < piece; ++summed_) before_ += own_items(summed_).size();
    const std::span<const Item> own = own_items(piece);
    write(own, before_);
    if (piece + 1 == sorter_.shape().pieces) end(before_ + own.size(), value);
  }

  void write(std::span<const Item> items, std::uint64_t at) {
    std::byte* to = first_element(job_.outputs[0]) + at * sizeof(T);
    for (const Item& item : items) {
      const T x = Distinct<T>::element(job_.inputs[0], item);
      std::memcpy(to, &x, sizeof x);
      to += sizeof x;
    }
  }

  void end(std::uint64_t length, ScalarBytes& value) {
    free_pages_behind(job_.outputs[0], length * sizeof(T));
    value = length_bytes(length);
  }

  KernelJob job_;
  RowSorter<Item> sorter_;
  Item* pieces_;
  std::uint64_t* counts_;
  std::vector<Item> distinct_;
  std::uint64_t summed_ = 0, before_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> make_unique(KernelJob job) {
  return visit_dtype(job.inputs[0].spec.dtype, [&](auto x) -> std::unique_ptr<Kernel> {
    return std::make_unique<Unique<decltype(x)>>(std::move(job));
  });
}

}  // namespace parcompute
