#include "worker/kernels/reduce_tile.h"

#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include <fmt/format.h>

#include "worker/kernels/reduce_loops.h"
#include "worker/kernels/reduce_policies.h"

namespace parcompute {
namespace {

using namespace reduction;

// Partial results' words lie in scratch memory 8 bytes apart.
constexpr std::size_t kWordBytes = 8;

// Pairwise by index: the tree over n segments splits at the largest power of 2 below n. Like a binary counter, slot s holds
// the combined partials of a run of 2^s segments.
template <class Node, class Load, class Combine>
Node combine_pairwise(std::uint64_t count, Load load, Combine combine) {
  std::array<Node, 64> runs;
  for (std::uint64_t i = 0; i < count; ++i) {
    Node node = load(i);
    std::size_t slot = 0;
    for (; (i >> slot & 1) != 0; ++slot) node = combine(runs[slot], node);
    runs[slot] = node;
  }
  // The runs that are left cover the segments from the largest to the smallest.
  auto slot = static_cast<std::size_t>(std::countr_zero(count));
  Node total = runs[slot];
  for (++slot; count >> slot != 0; ++slot)
    if ((count >> slot & 1) != 0) total = combine(runs[slot], total);
  return total;
}

template <class T>
void put(std::byte* to, T x) {
  if constexpr (std::is_floating_point_v<T>)
    if (x != x) x = std::numeric_limits<T>::quiet_NaN();  // the positive one, whatever made it
  std::memcpy(to, &x, sizeof x);
}

// A real number in the real dtype of a result, at its `component`-th place.
void put_real(std::byte* to, DType dtype, std::size_t component, double x) {
  if (real_dtype(dtype) == DType::kFloat32)
    put(to + component * sizeof(float), static_cast<float>(x));
  else
    put(to + component * sizeof(double), x);
}

// The result of a policy's words, for each of its kinds.
template <class P>
struct Finish;
template <class T>
struct Finish<SumIntegers<T>> {
  static Result<void> put_result(const std::uint64_t* w, DType, std::byte* to) { return put(to, w[0]), Result<void>(); }
};
template <class T>
struct Finish<ProdIntegers<T>> : Finish<SumIntegers<T>> {};
template <class T>
struct Finish<SumWide<T>> {
  static Result<void> put_result(const double* w, DType dtype, std::byte* to) { return put_real(to, dtype, 0, w[0]), Result<void>(); }
};
template <class T>
struct Finish<ProdFloats<T>> : Finish<SumWide<T>> {};
template <>
struct Finish<SumPair> {
  static Result<void> put_result(const double* w, DType dtype, std::byte* to) { return put_real(to, dtype, 0, SumPair::value(w)), Result<void>(); }
};
template <class P>
struct Finish<SumComplex<P>> {
  static Result<void> put_result(const double* w, DType dtype, std::byte* to) {
    for (std::size_t component = 0; component < 2; ++component) {
      const double* of = w + component * P::kWords;
      if constexpr (std::is_same_v<P, SumPair>) put_real(to, dtype, component, SumPair::value(of));
      else put_real(to, dtype, component, of[0]);
    }
    return {};
  }
};
template <class T>
struct Finish<ProdComplex<T>> {
  static Result<void> put_result(const double* w, DType dtype, std::byte* to) {
    put_real(to, dtype, 0, w[0]);
    put_real(to, dtype, 1, w[1]);
    return {};
  }
};
template <class T, bool kMin, bool kNanWins>
struct Finish<Extreme<T, kMin, kNanWins>> {
  using P = Extreme<T, kMin, kNanWins>;
  static Result<void> put_result(const typename P::Word* w, DType, std::byte* to) { return put(to, P::Order::value(w[0])), Result<void>(); }
};
template <class T, bool kMin, bool kNanWins>
struct Finish<ExtremeComplex<T, kMin, kNanWins>> {
  using P = ExtremeComplex<T, kMin, kNanWins>;
  static Result<void> put_result(const typename P::Word* w, DType, std::byte* to) {
    put(to, P::Order::value(w[0]));
    put(to + sizeof(T), P::Order::value(w[1]));
    return {};
  }
};
template <bool kAny>
struct Finish<Truth<kAny>> {
  static Result<void> put_result(const std::uint8_t* w, DType, std::byte* to) { return put(to, w[0]), Result<void>(); }
};
tl::unexpected<Error> all_nan() {
  return fail(ErrorCode::kComputationFailed, "nanargmin and nanargmax find no number where all elements are NaN");
}
template <class T, bool kMin, bool kNanWins>
struct Finish<Position<T, kMin, kNanWins>> {
  static Result<void> put_result(const std::int64_t* w, DType, std::byte* to) {
    using P = Position<T, kMin, kNanWins>;
    if (!kNanWins && w[0] == P::kWorst) return all_nan();
    return put(to, w[1]), Result<void>();
  }
};
template <class T, bool kMin, bool kNanWins>
struct Finish<PositionComplex<T, kMin, kNanWins>> {
  static Result<void> put_result(const std::int64_t* w, DType, std::byte* to) {
    using P = PositionComplex<T, kMin, kNanWins>;
    if (!kNanWins && w[0] == P::kWorst) return all_nan();
    return put(to, w[2]), Result<void>();
  }
};

template <class P>
class Tile final : public ReduceTile {
 public:
  Tile(Reducer reducer, DType dtype, DType result, std::size_t columns, std::size_t lanes, Addend addend)
      : add_rows_(addend == Addend::kElement ? find_add_rows(reducer, dtype) : find_add_addends(addend, dtype)), result_(result), itemsize_(itemsize(dtype)), lanes_(lanes), words_(P::kWords * columns * kComponents * lanes) {}

  void begin(std::size_t columns) override {
    columns_ = columns;
    width_ = columns * kComponents * lanes_;
    for (std::size_t k = 0; k < P::kWords; ++k) std::fill_n(words_.begin() + static_cast<std::ptrdiff_t>(k * width_), width_, begin_word<P>(k));
  }

  void add(const std::byte* x, std::uint64_t first_row, std::uint64_t rows, std::uint64_t stride, const std::byte* y) override {
    const auto index = static_cast<std::int64_t>(first_row);
    if (lanes_ == 1) {
      add_rows_(words_.data(), width_, {x, rows, stride * kComponents, columns_ * kComponents, index, 1, 0, nullptr, y});
      return;
    }
    // Rows one behind the other are longer rows, one for each lane's worth.
    const std::uint64_t whole = rows / lanes_, rest = rows % lanes_;
    add_rows_(words_.data(), width_, {x, whole, width_, width_, index, static_cast<std::int64_t>(lanes_), 1, nullptr, y});
    if (rest == 0) return;
    const std::uint64_t done = whole * lanes_ * columns_ * itemsize_;
    add_rows_(words_.data(), width_, {x + done, 1, 0, rest * columns_ * kComponents, index + static_cast<std::int64_t>(whole * lanes_), 0, 1, nullptr,
                                      y == nullptr ? nullptr : y + done});
  }

  void end() override {
    for (std::size_t half = lanes_ / 2; half > 0; half /= 2)
      for (std::size_t i = 0; i < half * columns_ * kComponents; ++i) {
        Words left = words_at(i);
        P::combine(left.data(), words_at(i + half * columns_ * kComponents).data());
        for (std::size_t k = 0; k < P::kWords; ++k) words_[k * width_ + i] = left[k];
      }
  }

  void store(std::size_t column, std::byte* partial) const override {
    for (std::size_t component = 0; component < kComponents; ++component) {
      const Words words = words_at(column * kComponents + component);
      for (const typename P::Word& word : words) {
        std::memcpy(partial, &word, sizeof word);
        partial += kWordBytes;
      }
    }
  }

  Result<void> finish(std::size_t first, std::size_t count, std::byte* result, std::int64_t stride) override {
    for (std::size_t column = first; column < first + count; ++column, result += stride) {
      AllWords all;
      for (std::size_t component = 0; component < kComponents; ++component)
        for (std::size_t k = 0; k < P::kWords; ++k) all[component * P::kWords + k] = words_[k * width_ + column * kComponents + component];
      if (auto ok = Finish<P>::put_result(all.data(), result_, result); !ok) return ok;
    }
    return {};
  }

  Result<void> combine(const std::byte* partials, std::uint64_t segments, std::uint64_t stride, std::uint64_t, std::uint64_t, std::byte* result) override {
    const auto load = [&](std::uint64_t i) {
      AllWords all;
      for (std::size_t k = 0; k < all.size(); ++k) std::memcpy(&all[k], partials + i * stride + k * kWordBytes, sizeof all[k]);
      return all;
    };
    const AllWords total = combine_pairwise<AllWords>(segments, load, [](AllWords left, const AllWords& right) {
      for (std::size_t component = 0; component < kComponents; ++component) P::combine(left.data() + component * P::kWords, right.data() + component * P::kWords);
      return left;
    });
    return Finish<P>::put_result(total.data(), result_, result);
  }

 private:
  static constexpr std::size_t kComponents = components<P>();
  using Words = std::array<typename P::Word, P::kWords>;
  using AllWords = std::array<typename P::Word, P::kWords * kComponents>;

  Words words_at(std::size_t i) const {
    Words words;
    for (std::size_t k = 0; k < P::kWords; ++k) words[k] = words_[k * width_ + i];
    return words;
  }

  AddRows add_rows_;
  DType result_;
  std::uint64_t itemsize_;
  std::size_t lanes_;
  std::size_t columns_ = 0;
  std::size_t width_ = 0;  // of one word's array
  std::vector<typename P::Word> words_;
};

// ---- variance

// Mean and sum of squared deviations of so many elements. Two of them combine by Chan, Golub and LeVeque's formula ("Updating
// Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979); complex numbers deviate in two components. A mean
// is a number near it and the rest: where it is large beside the deviations, two rounded means would not tell how far they are
// apart.
struct Moments {
  double count = 0;
  std::array<double, 2> near{}, rest{};
  double squares = 0;

  static Moments combined(const Moments& a, const Moments& b) {
    if (a.count == 0) return b;
    if (b.count == 0) return a;
    Moments all;
    all.count = a.count + b.count;
    all.squares = a.squares + b.squares;
    all.near = a.near;
    for (std::size_t i = 0; i < 2; ++i) {
      const double difference = (b.near[i] - a.near[i]) + (b.rest[i] - a.rest[i]);
      all.rest[i] = a.rest[i] + difference * (b.count / all.count);
      all.squares += difference * difference * (a.count * b.count / all.count);
    }
    return all;
  }
};

// The first pass reads its rows twice, while the cache has them: for their mean, and for their deviations from it. Later passes
// read theirs once, for deviations from that same mean c. Of all n, with S and Q the sums of deviations and of their squares,
// c + S / n is the mean, and Q - S S / n the squares around it. What cancels there is little: if the mean is d away from c,
// then the first k elements alone have squares of k d d or more, and Q has n d d more than the result; n / k is 16 at most.
class VarianceTile final : public ReduceTile {
 public:
  VarianceTile(const Reduction& reduction, DType dtype, std::size_t columns, std::size_t lanes)
      : components_(info(dtype).kind == Kind::kComplex ? 2 : 1), ddof_(reduction.ddof), result_(reduction.dtype), lanes_(lanes), itemsize_(itemsize(dtype)),
        add_values_(find_add_plainly(dtype)), add_deviations_(find_add_rows(Reducer::kVar, dtype)),
        sums_(2 * columns * components_ * lanes), centres_(columns * components_ * lanes) {}

  void begin(std::size_t columns) override {
    columns_ = columns;
    period_ = columns * components_;
    width_ = period_ * lanes_;
    count_ = 0;
  }

  void add(const std::byte* x, std::uint64_t, std::uint64_t rows, std::uint64_t stride, const std::byte*) override {
    if (count_ == 0) {
      clear();
      run(add_values_, x, rows, stride);
      fold();
      for (std::size_t i = 0; i < period_; ++i) centres_[i] = sums_[i] / static_cast<double>(rows);
      for (std::size_t lane = 1; lane < lanes_; ++lane) std::copy_n(centres_.data(), period_, centres_.data() + lane * period_);
      clear();
    }
    run(add_deviations_, x, rows, stride);
    count_ += static_cast<double>(rows);
  }

  void end() override { fold(); }

  void store(std::size_t column, std::byte* partial) const override {
    const Moments moments = moments_of(column);
    std::memcpy(partial, &moments.squares, sizeof(double));
    std::memcpy(partial + kWordBytes, moments.near.data(), components_ * sizeof(double));
    std::memcpy(partial + (1 + components_) * kWordBytes, moments.rest.data(), components_ * sizeof(double));
  }

  Result<void> finish(std::size_t first, std::size_t count, std::byte* result, std::int64_t stride) override {
    for (std::size_t column = first; column < first + count; ++column, result += stride) answer(moments_of(column), result);
    return {};
  }

  Result<void> combine(const std::byte* partials, std::uint64_t segments, std::uint64_t stride, std::uint64_t rows, std::uint64_t last_rows,
                       std::byte* result) override {
    const auto load = [&](std::uint64_t i) {
      Moments moments{static_cast<double>(i + 1 < segments ? rows : last_rows), {}, {}, 0};
      std::memcpy(&moments.squares, partials + i * stride, sizeof(double));
      std::memcpy(moments.near.data(), partials + i * stride + kWordBytes, components_ * sizeof(double));
      std::memcpy(moments.rest.data(), partials + i * stride + (1 + components_) * kWordBytes, components_ * sizeof(double));
      return moments;
    };
    answer(combine_pairwise<Moments>(segments, load, Moments::combined), result);
    return {};
  }

 private:
  void clear() { std::fill(sums_.begin(), sums_.end(), 0.0); }

  void run(AddRows add_rows, const std::byte* x, std::uint64_t rows, std::uint64_t stride) {
    RowsToAdd all{x, rows, stride * components_, columns_ * components_, 0, 0, 0, centres_.data(), nullptr};
    if (lanes_ == 1) return add_rows(sums_.data(), width_, all);
    const std::uint64_t whole = rows / lanes_, rest = rows % lanes_;
    all.rows = whole;
    all.stride = all.columns = width_;
    add_rows(sums_.data(), width_, all);
    if (rest == 0) return;
    all.x = x + whole * lanes_ * columns_ * itemsize_;
    all.rows = 1;
    all.columns = rest * columns_ * components_;
    add_rows(sums_.data(), width_, all);
  }

  // Lanes meet, in both arrays.
  void fold() {
    for (std::size_t half = lanes_ / 2; half > 0; half /= 2)
      for (std::size_t i = 0; i < half * period_; ++i) {
        sums_[i] += sums_[i + half * period_];
        sums_[width_ + i] += sums_[width_ + i + half * period_];
      }
  }

  Moments moments_of(std::size_t column) const {
    Moments moments{count_, {}, {}, 0};
    if (count_ == 0) return moments;
    for (std::size_t component = 0; component < components_; ++component) {
      const std::size_t i = column * components_ + component;
      moments.near[component] = centres_[i];
      moments.rest[component] = sums_[i] / count_;
      const double moved = sums_[i] * moments.rest[component];
      const double around = std::isinf(moved) ? sums_[width_ + i] : sums_[width_ + i] - moved;
      moments.squares += around < 0 ? 0 : around;  // a square root may follow; NaN stays
    }
    return moments;
  }

  void answer(const Moments& moments, std::byte* result) const {
    const double freedom = moments.count - ddof_;
    put_real(result, result_, 0, moments.squares / (freedom > 0 ? freedom : 0.0));
  }

  std::size_t components_;
  double ddof_;
  DType result_;
  std::size_t lanes_;
  std::uint64_t itemsize_;
  AddRows add_values_, add_deviations_;
  std::size_t columns_ = 0, period_ = 0, width_ = 0;
  std::vector<double> sums_;  // two arrays of width_
  std::vector<double> centres_;
  double count_ = 0;  // of elements so far, in each column
};

}  // namespace

std::unique_ptr<ReduceTile> make_reduce_tile(const Reduction& reduction, DType dtype, std::size_t columns, std::size_t lanes, Addend addend) {
  if (reduction.reducer == Reducer::kVar) return std::make_unique<VarianceTile>(reduction, dtype, columns, lanes);
  std::unique_ptr<ReduceTile> tile;
  visit_policy(reduction.reducer, dtype,
               [&]<class P>(std::type_identity<P>) { tile = std::make_unique<Tile<P>>(reduction.reducer, dtype, reduction.dtype, columns, lanes, addend); });
  return tile;
}

}  // namespace parcompute
