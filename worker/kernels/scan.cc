// scan: cumsum and cumprod (plan: common/operation/scan_plan.cc; how floats are added and multiplied:
// running_total.h).
#include <cstring>
#include <vector>

#include "common/base/invariant.h"
#include "worker/kernels/canonical.h"
#include "worker/kernels/kernels_made.h"
#include "worker/kernels/row_sorter.h"
#include "worker/kernels/running_total.h"

namespace parcompute {
namespace {

// A scan of In's elements to Out's: what it carries (Carry), what a part comes to (Total), and
//   static Total total(const In*, count)            of a part
//   static Carry after(const Carry&, const Total&)  over a part computed apart
//   static void scan(Carry&, const In*, count, Out*)

template <class T, class Result>
struct IntegerSum {
  using In = T;
  using Out = Result;
  using Carry = std::uint64_t;
  using Total = std::uint64_t;
  static Carry none() { return 0; }
  static std::uint64_t wide(T x) { return static_cast<std::uint64_t>(static_cast<Out>(x)); }
  static Total total(const T* x, std::uint64_t count) {
    Total sum = 0;
    for (std::uint64_t i = 0; i < count; ++i) sum += wide(x[i]);
    return sum;
  }
  static Carry after(Carry before, Total total) { return before + total; }
  static void scan(Carry& carry, const T* x, std::uint64_t count, Out* to) {
    for (std::uint64_t i = 0; i < count; ++i) to[i] = static_cast<Out>(carry += wide(x[i]));
  }
};

template <class T, class Result>
struct IntegerProduct : IntegerSum<T, Result> {
  using Base = IntegerSum<T, Result>;
  using typename Base::Carry, typename Base::Total;
  static Carry none() { return 1; }
  static Total total(const T* x, std::uint64_t count) {
    Total product = 1;
    for (std::uint64_t i = 0; i < count; ++i) product *= Base::wide(x[i]);
    return product;
  }
  static Carry after(Carry before, Total total) { return before * total; }
  static void scan(Carry& carry, const T* x, std::uint64_t count, Result* to) {
    for (std::uint64_t i = 0; i < count; ++i) to[i] = static_cast<Result>(carry *= Base::wide(x[i]));
  }
};

// kWidth components in turn: 1 of real numbers, 2 of complex ones. Strips at once: their additions overlap in time.
template <class T, class Element, std::size_t kWidth>
struct FloatSum {
  using In = Element;
  using Out = Element;
  struct Carry {
    CarriedSum parts[kWidth];
  };
  using Total = Carry;
  static Carry none() { return {}; }

  static Total total(const In* x, std::uint64_t count) {
    Total sum;
    walk<false>(sum, x, count, nullptr);
    return sum;
  }
  static Carry after(Carry before, const Total& total) {
    for (std::size_t c = 0; c < kWidth; ++c) before.parts[c].add(total.parts[c]);
    return before;
  }
  static void scan(Carry& carry, const In* x, std::uint64_t count, Out* to) { walk<true>(carry, x, count, to); }

 private:
  static constexpr std::size_t kStrips = 4;
  static constexpr std::size_t kStripWidth = kScanStrip * kWidth;

  template <bool kWrite>
  static void walk(Carry& carry, const In* elements, std::uint64_t count, Out* to) {
    const T* x = reinterpret_cast<const T*>(elements);
    T* out = reinterpret_cast<T*>(to);
    std::uint64_t left = count * kWidth;
    double sums[kStrips][kStripWidth];
    while (left != 0) {
      if (left >= kStrips * kStripWidth) {
        double running[kStrips][kWidth];
        for (auto& strip : running)
          for (double& sum : strip) sum = -0.0;
        for (std::size_t i = 0; i < kStripWidth; i += kWidth)
          for (std::size_t s = 0; s < kStrips; ++s)
            for (std::size_t c = 0; c < kWidth; ++c) {
              running[s][c] += static_cast<double>(x[s * kStripWidth + i + c]);
              if constexpr (kWrite) sums[s][i + c] = running[s][c];
            }
        for (std::size_t s = 0; s < kStrips; ++s)
          finish<kWrite>(carry, sums[s], running[s], kStripWidth, kWrite ? out + s * kStripWidth : out);
        advance(x, out, left, kStrips * kStripWidth, kWrite);
      } else {
        const std::size_t strip = std::min<std::uint64_t>(left, kStripWidth);
        double running[kWidth];
        for (double& sum : running) sum = -0.0;
        for (std::size_t i = 0; i < strip; i += kWidth)
          for (std::size_t c = 0; c < kWidth; ++c) sums[0][i + c] = running[c] += static_cast<double>(x[i + c]);
        finish<kWrite>(carry, sums[0], running, strip, out);
        advance(x, out, left, strip, kWrite);
      }
    }
  }

  template <bool kWrite>
  static void finish(Carry& carry, const double* sums, const double* running, std::size_t count, T* out) {
    if constexpr (kWrite)
      for (std::size_t i = 0; i < count; i += kWidth)
        for (std::size_t c = 0; c < kWidth; ++c) out[i + c] = static_cast<T>(carry.parts[c].with(sums[i + c]));
    if constexpr (kWrite) canonicalize_if_last_is_nan(reinterpret_cast<Out*>(out), count / kWidth);
    for (std::size_t c = 0; c < kWidth; ++c) carry.parts[c].add(running[c]);
  }

  static void advance(const T*& x, T*& out, std::uint64_t& left, std::size_t step, bool written) {
    x += step;
    if (written) out += step;
    left -= step;
  }
};

template <class T>
struct FloatProduct {
  using In = T;
  using Out = T;
  using Carry = Scaled;
  using Total = CarriedProduct;
  static Carry none() { return {}; }
  static Total total(const T* x, std::uint64_t count) {
    Total product;
    product.multiply(x, count);
    return product;
  }
  static Carry after(const Carry& before, const Total& total) { return total.after<T>(before); }
  static void scan(Carry& carry, const T* x, std::uint64_t count, T* to) {
    T product = CarriedProduct::value<T>(carry);
    for (std::uint64_t i = 0; i < count; ++i) to[i] = product *= x[i];
    canonicalize_if_last_is_nan(to, count);
    carry = {static_cast<double>(product), 0};
  }
};

// Never computed in parts.
template <class T>
struct ComplexProduct {
  using In = std::complex<T>;
  using Out = In;
  struct Carry {
    In product;
    bool any;
  };
  using Total = Carry;
  static Carry none() { return {{}, false}; }
  static Total total(const In*, std::uint64_t) { return none(); }
  static Carry after(const Carry& before, const Total&) { return before; }
  static void scan(Carry& carry, const In* x, std::uint64_t count, Out* to) {
    for (std::uint64_t i = 0; i < count; ++i) {
      // The schoolbook product, as NumPy's.
      const T re = carry.product.real(), im = carry.product.imag();
      carry.product = carry.any ? In(re * x[i].real() - im * x[i].imag(), re * x[i].imag() + im * x[i].real()) : x[i];
      carry.any = true;
      to[i] = carry.product;
    }
    canonicalize_if_last_is_nan(to, count);
  }
};

template <class How>
class Scan final : public Kernel {
 public:
  Scan(KernelJob job, const Rows& rows)
      : job_(std::move(job)),
        rows_(rows),
        shape_(shape_scan(job_.operation.scan().op(), job_.inputs[0].spec.dtype, rows.rows, rows.length)),
        reader_(job_.inputs[0], rows),
        out_(first_element(job_.outputs[0])) {}

  Result<void> run(std::size_t phase, BlockRange blocks, ScalarBytes&) override {
    for (std::uint64_t block = blocks.first; block < blocks.first + blocks.count; ++block) {
      if (!shape_.is_long()) {
        const std::uint64_t end = std::min(shape_.rows, (block + 1) * shape_.rows_per_block);
        for (std::uint64_t row = block * shape_.rows_per_block; row < end; ++row) {
          Carry carry = How::none();
          for (std::uint64_t first = 0; first < shape_.length; first += kScanPart)
            scan(row, first, std::min(kScanPart, shape_.length - first), carry);
        }
      } else if (phase == 0) {
        store(block, How::total(read(block), part_length(block)));
      } else if (phase == 1) {
        carry_over(block);
      } else {
        Carry carry = load<Carry>(carry_place(block));
        scan(block / shape_.parts, block % shape_.parts * kScanPart, part_length(block), carry);
      }
    }
    return {};
  }

 private:
  using In = typename How::In;
  using Out = typename How::Out;
  using Carry = typename How::Carry;
  using Total = typename How::Total;
  static_assert(sizeof(Carry) <= kScanTotalBytes && sizeof(Total) <= kScanTotalBytes);

  std::uint64_t part_length(std::uint64_t block) const {
    return std::min(kScanPart, shape_.length - block % shape_.parts * kScanPart);
  }
  const In* read(std::uint64_t block) {
    return reader_.template read<In>(block / shape_.parts, block % shape_.parts * kScanPart, part_length(block));
  }

  // What comes before a part lies behind all totals: they must still be there if this is done twice.
  std::uint64_t carry_place(std::uint64_t block) const { return shape_.rows * shape_.parts + block; }
  void carry_over(std::uint64_t row) {
    Carry carry = How::none();
    for (std::uint64_t part = row * shape_.parts; part < (row + 1) * shape_.parts; ++part) {
      const Total total = load<Total>(part);
      store(carry_place(part), carry);
      carry = How::after(carry, total);
    }
  }

  template <class X>
  void store(std::uint64_t place, const X& x) {
    std::memcpy(job_.scratch.data() + place * kScanTotalBytes, &x, sizeof x);
  }
  template <class X>
  X load(std::uint64_t place) const {
    X x;
    std::memcpy(&x, job_.scratch.data() + place * kScanTotalBytes, sizeof x);
    return x;
  }

  void scan(std::uint64_t row, std::uint64_t first, std::uint64_t count, Carry& carry) {
    constexpr std::uint64_t kStep = 8 * kScanStrip;
    const In* from = reader_.template read<In>(row, first, count);
    std::byte* to = out_ + rows_.index(row, first) * sizeof(Out);
    Out scanned[kStep];
    for (std::uint64_t at = 0; at < count; at += kStep) {
      const std::uint64_t run = std::min(kStep, count - at);
      How::scan(carry, from + at, run, scanned);
      if (rows_.inner == 1) {
        std::memcpy(to, scanned, run * sizeof(Out));
        to += run * sizeof(Out);
      } else {
        for (std::uint64_t i = 0; i < run; ++i, to += rows_.inner * sizeof(Out))
          std::memcpy(to, &scanned[i], sizeof(Out));
      }
    }
  }

  KernelJob job_;
  Rows rows_;
  ScanShape shape_;
  RowReader reader_;
  std::byte* out_;
};

template <template <class, class> class Integers, class T>
std::unique_ptr<Kernel> make_integer_scan(KernelJob job, const Rows& rows) {
  using Out = std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>;
  return std::make_unique<Scan<Integers<T, Out>>>(std::move(job), rows);
}

// A bool's byte as it lies there: 1 where it is not 0.
struct Flag {
  std::uint8_t byte;
  explicit operator std::int64_t() const { return byte != 0; }
};

template <class T>
std::unique_ptr<Kernel> make_scan_of(KernelJob job, const Rows& rows) {
  const bool sum = job.operation.scan().op() == wire::Scan::SUM;
  if constexpr (is_complex_v<T>) {
    using Part = typename T::value_type;
    if (sum) return std::make_unique<Scan<FloatSum<Part, T, 2>>>(std::move(job), rows);
    return std::make_unique<Scan<ComplexProduct<Part>>>(std::move(job), rows);
  } else if constexpr (std::is_floating_point_v<T>) {
    if (sum) return std::make_unique<Scan<FloatSum<T, T, 1>>>(std::move(job), rows);
    return std::make_unique<Scan<FloatProduct<T>>>(std::move(job), rows);
  } else if constexpr (std::is_same_v<T, bool>) {
    if (sum) return std::make_unique<Scan<IntegerSum<Flag, std::int64_t>>>(std::move(job), rows);
    return std::make_unique<Scan<IntegerProduct<Flag, std::int64_t>>>(std::move(job), rows);
  } else {
    return sum ? make_integer_scan<IntegerSum, T>(std::move(job), rows)
               : make_integer_scan<IntegerProduct, T>(std::move(job), rows);
  }
}

}  // namespace

std::unique_ptr<Kernel> make_scan(KernelJob job) {
  const auto rows = rows_along("scan", {job.inputs[0].spec, job.inputs[0].label}, axis_of(job.operation.scan()));
  PARCOMPUTE_INVARIANT(rows.has_value());  // the plan in `job` was made of the same operand
  return visit_dtype(job.inputs[0].spec.dtype,
                     [&](auto x) { return make_scan_of<decltype(x)>(std::move(job), *rows); });
}

}  // namespace parcompute
