// sort and argsort (plan: common/operation/sort_plans.cc). Complex numbers are sorted by their indices and fetched.
#include <cstring>

#include "common/base/invariant.h"
#include "worker/kernels/kernels_made.h"
#include "worker/kernels/row_sorter.h"

namespace parcompute {
namespace {

Rows rows_of(const KernelJob& job, std::optional<std::int32_t> axis) {
  const auto rows = rows_along("sort", {job.inputs[0].spec, job.inputs[0].label}, axis);
  PARCOMPUTE_INVARIANT(rows.has_value());  // the plan in `job` was made of the same operand
  return *rows;
}

// Finish makes the result's elements of items: element(row, item).
template <class Item, class Result, class Finish>
class Sort final : public Kernel {
 public:
  Sort(KernelJob job, const Rows& rows, typename RowSorter<Item>::Load load, Finish finish)
      : job_(std::move(job)),
        rows_(rows),
        sorter_(shape_sort(rows.rows, rows.length, sizeof(Item)), job_.scratch, std::move(load)),
        finish_(std::move(finish)),
        out_(first_element(job_.outputs[0])) {}

  parcompute::Result<void> run(std::size_t phase, BlockRange blocks, ScalarBytes&) override {
    const SortShape& shape = sorter_.shape();
    for (std::uint64_t block = blocks.first; block < blocks.first + blocks.count; ++block) {
      if (shape.is_long()) {
        if (phase == 0)
          sorter_.sort_run(block);
        else
          write(block / shape.pieces, block % shape.pieces * shape.piece, sorter_.sorted_piece(block));
      } else {
        const std::uint64_t end = std::min(shape.rows, (block + 1) * shape.rows_per_block);
        for (std::uint64_t row = block * shape.rows_per_block; row < end; ++row)
          write(row, 0, sorter_.sorted_row(row));
      }
    }
    return {};
  }

 private:
  void write(std::uint64_t row, std::uint64_t first, std::span<const Item> items) {
    std::byte* to = out_ + rows_.index(row, first) * sizeof(Result);
    if (rows_.inner == 1)
      write_items(row, items, to, sizeof(Result));  // a loop of its own, which the compiler can make vectors of
    else
      write_items(row, items, to, rows_.inner * sizeof(Result));
  }

  void write_items(std::uint64_t row, std::span<const Item> items, std::byte* to, std::uint64_t step) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      const Result x = finish_(row, items[i]);
      std::memcpy(to + i * step, &x, sizeof x);
    }
  }

  KernelJob job_;
  Rows rows_;
  RowSorter<Item> sorter_;
  Finish finish_;
  std::byte* out_;
};

template <class Item, class Result, class Finish>
std::unique_ptr<Kernel> make_kernel(KernelJob job, const Rows& rows, typename RowSorter<Item>::Load load,
                                    Finish finish) {
  return std::make_unique<Sort<Item, Result, Finish>>(std::move(job), rows, std::move(load), std::move(finish));
}

template <class T>
std::unique_ptr<Kernel> make_sort_of(KernelJob job) {
  const bool descending = job.operation.sort().descending();
  const Rows rows = rows_of(job, axis_of(job.operation.sort()));
  RowReader reader(job.inputs[0], rows);
  if constexpr (is_complex_v<T>) {
    auto fetch = [spec = rows.spec, data = job.inputs[0].data, length = rows.length](std::uint64_t row,
                                                                                     const IndexedPair& item) {
      T x;
      gather(spec, data, row * length + item.index, 1, reinterpret_cast<std::byte*>(&x));
      return x;
    };
    return make_kernel<IndexedPair, T>(std::move(job), rows,
                                       load_indexed<T, IndexedPair>(std::move(reader), descending), std::move(fetch));
  } else {
    using Key = KeyOf<T>;
    auto load = load_keys<T>(std::move(reader), descending);
    const Key flip = descending ? static_cast<Key>(~Key{0}) : Key{0};
    return make_kernel<Key, T>(std::move(job), rows, std::move(load), [flip](std::uint64_t, Key key) {
      return element_of<T>(static_cast<Key>(key ^ flip));
    });
  }
}

template <class T, class Item>
std::unique_ptr<Kernel> make_argsort_by(KernelJob job, const Rows& rows) {
  auto load = load_indexed<T, Item>(RowReader(job.inputs[0], rows), job.operation.argsort().descending());
  return make_kernel<Item, std::int64_t>(std::move(job), rows, std::move(load), [](std::uint64_t, const Item& item) {
    return static_cast<std::int64_t>(item.index);
  });
}

template <class T>
std::unique_ptr<Kernel> make_argsort_of(KernelJob job) {
  const Rows rows = rows_of(job, axis_of(job.operation.argsort()));
  if constexpr (is_complex_v<T>) {
    return make_argsort_by<T, IndexedPair>(std::move(job), rows);
  } else {
    if constexpr (sizeof(T) <= 4)
      if (argsort_item_bytes(dtype_of<T>(), rows.length) == sizeof(Indexed32))
        return make_argsort_by<T, Indexed32>(std::move(job), rows);
    return make_argsort_by<T, Indexed64>(std::move(job), rows);
  }
}

}  // namespace

std::unique_ptr<Kernel> make_sort(KernelJob job) {
  return visit_dtype(job.inputs[0].spec.dtype, [&](auto x) { return make_sort_of<decltype(x)>(std::move(job)); });
}

std::unique_ptr<Kernel> make_argsort(KernelJob job) {
  return visit_dtype(job.inputs[0].spec.dtype, [&](auto x) { return make_argsort_of<decltype(x)>(std::move(job)); });
}

}  // namespace parcompute
