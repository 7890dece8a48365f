// What reductions do with one element: begin, step, combine. Shared by the loops of every instruction set (reduce_loops.cc)
// and the tree above them (reduce_tile.cc).
//
// A partial result is a few words. Loops keep each word of many columns in an array of its own, so that the compiler makes
// vectors of neighbouring columns; none of it depends on how wide those are.
#pragma once

#include <bit>
#include <cmath>
#include <complex>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "common/expression/program.h"

namespace parcompute::reduction {

// A bool in memory that others wrote: any byte.
enum class TruthByte : std::uint8_t {};

// Whole numbers wrap, so sums and products are made without a sign; the bits are the same.
template <class T>
constexpr std::uint64_t widened(T x) {
  if constexpr (std::is_same_v<T, TruthByte>) return x != TruthByte{} ? 1 : 0;
  else if constexpr (std::is_signed_v<T>) return static_cast<std::uint64_t>(static_cast<std::int64_t>(x));
  else return x;
}

// ---- sums

template <class T>
struct SumIntegers {
  using In = T;
  using Word = std::uint64_t;
  static constexpr std::size_t kWords = 1;
  static constexpr Word kBegin = 0;
  static void step(Word* w, T x) { w[0] += widened(x); }
  static void combine(Word* w, const Word* v) { w[0] += v[0]; }
};

// Of float32: 29 bits more than the elements have. Of float64 plain sums, where they need not be exact.
template <class T>
struct SumWide {
  using In = T;
  using Word = double;
  static constexpr std::size_t kWords = 1;
  static constexpr Word kBegin = 0;
  static void step(Word* w, T x) { w[0] += static_cast<double>(x); }
  static void combine(Word* w, const Word* v) { w[0] += v[0]; }
};

// Of float64: the sum, and what rounding took from it, exactly (Knuth, TAOCP 2, 4.2.2, theorem B). About 106 bits.
struct SumPair {
  using In = double;
  using Word = double;
  static constexpr std::size_t kWords = 2;
  static constexpr Word kBegin = 0;
  static void add_exactly(Word* w, double x) {
    const double sum = w[0] + x;
    const double x_part = sum - w[0];
    w[1] += (w[0] - (sum - x_part)) + (x - x_part);
    w[0] = sum;
  }
  static void step(Word* w, double x) { add_exactly(w, x); }
  static void combine(Word* w, const Word* v) {
    add_exactly(w, v[0]);
    w[1] += v[1];
  }
  // Where a sum overflowed or met a NaN, its error is meaningless.
  static double value(const Word* w) { return std::isfinite(w[0]) ? w[0] + w[1] : w[0]; }
};

// Components are added up apart, as columns of their own.
template <class P>
struct SumComplex : P {
  static constexpr std::size_t kComponents = 2;
};
template <class P>
constexpr std::size_t components() {
  if constexpr (requires { P::kComponents; }) return P::kComponents;
  else return 1;
}

// ---- products

template <class T>
struct ProdIntegers {
  using In = T;
  using Word = std::uint64_t;
  static constexpr std::size_t kWords = 1;
  static constexpr Word kBegin = 1;
  static void step(Word* w, T x) { w[0] *= widened(x); }
  static void combine(Word* w, const Word* v) { w[0] *= v[0]; }
};
template <class T>
struct ProdFloats {
  using In = T;
  using Word = double;
  static constexpr std::size_t kWords = 1;
  static constexpr Word kBegin = 1;
  static void step(Word* w, T x) { w[0] *= static_cast<double>(x); }
  static void combine(Word* w, const Word* v) { w[0] *= v[0]; }
};
template <class T>
struct ProdComplex {
  using In = std::complex<T>;
  using Word = double;
  static constexpr std::size_t kWords = 2;
  static constexpr Word kBeginWords[kWords] = {1, 0};
  // Additions alone: of a difference beside a sum g++ 12 makes fused operations, whatever -ffp-contract says.
  static void multiply(Word* w, double re, double im) {
    const double real = w[0] * re + w[1] * -im;
    w[1] = w[0] * im + w[1] * re;
    w[0] = real;
  }
  static void step(Word* w, In x) { multiply(w, static_cast<double>(x.real()), static_cast<double>(x.imag())); }
  static void combine(Word* w, const Word* v) { multiply(w, v[0], v[1]); }
};

// ---- order. Elements become whole numbers in the same order: -0.0 before +0.0, and NaN wherever the reduction wants it.

template <class T>
struct OrderKey {
  using Key = T;  // integers are their own
  static Key of(T x, Key) { return x; }
  static T value(Key key) { return key; }
};
template <class T, class Bits>
struct FloatKey {
  using Key = Bits;
  static Key flipped(Key bits) { return bits ^ ((bits >> (8 * sizeof(Key) - 1)) & std::numeric_limits<Key>::max()); }
  static Key of(T x, Key of_nan) { return x != x ? of_nan : flipped(std::bit_cast<Key>(x)); }
  // Keys at either end are no number's.
  static T value(Key key) {
    const T x = std::bit_cast<T>(flipped(key));
    return x != x ? std::numeric_limits<T>::quiet_NaN() : x;
  }
};
template <>
struct OrderKey<float> : FloatKey<float, std::int32_t> {};
template <>
struct OrderKey<double> : FloatKey<double, std::int64_t> {};

// kNanWins: as min and max; else as fmin and fmax.
template <class T, bool kMin, bool kNanWins>
struct Extreme {
  using In = T;
  using Order = OrderKey<T>;
  using Word = typename Order::Key;
  static constexpr std::size_t kWords = 1;
  static constexpr Word kFirst = std::numeric_limits<Word>::min(), kLast = std::numeric_limits<Word>::max();
  static constexpr Word kBegin = kMin ? kLast : kFirst;
  static constexpr Word kNan = kNanWins == kMin ? kFirst : kLast;
  static Word better(Word a, Word b) { return kMin ? (b < a ? b : a) : (a < b ? b : a); }
  static void step(Word* w, T x) { w[0] = better(w[0], Order::of(x, kNan)); }
  static void combine(Word* w, const Word* v) { w[0] = better(w[0], v[0]); }
};

// By the real part, then the imaginary one. A NaN in either makes both NaN's keys.
template <class T, bool kMin, bool kNanWins>
struct ExtremeComplex {
  using In = std::complex<T>;
  using Order = OrderKey<T>;
  using Word = typename Order::Key;
  static constexpr std::size_t kWords = 2;
  static constexpr Word kFirst = std::numeric_limits<Word>::min(), kLast = std::numeric_limits<Word>::max();
  static constexpr Word kBegin = kMin ? kLast : kFirst;
  static constexpr Word kNan = kNanWins == kMin ? kFirst : kLast;
  // The zeros are equal, or the imaginary parts of numbers with equal real ones would not count; but of equal numbers the
  // answer must not be the first that comes.
  static Word unsigned_zero(Word key) { return key == -1 ? 0 : key; }
  static bool is_before(Word a, Word b) { return kMin ? a < b : a > b; }
  static bool is_better(Word re, Word im, const Word* w) {
    if (unsigned_zero(re) != unsigned_zero(w[0])) return is_before(re, w[0]);
    if (unsigned_zero(im) != unsigned_zero(w[1])) return is_before(im, w[1]);
    return re != w[0] ? is_before(re, w[0]) : is_before(im, w[1]);
  }
  static void take(Word* w, Word re, Word im) {
    if (is_better(re, im, w)) {
      w[0] = re;
      w[1] = im;
    }
  }
  static void step(Word* w, In x) {
    const bool nan = x.real() != x.real() || x.imag() != x.imag();
    take(w, nan ? kNan : Order::of(x.real(), kNan), nan ? kNan : Order::of(x.imag(), kNan));
  }
  static void combine(Word* w, const Word* v) { take(w, v[0], v[1]); }
};

// ---- truths

template <bool kAny>
struct Truth {
  using In = std::uint8_t;
  using Word = std::uint8_t;
  static constexpr std::size_t kWords = 1;
  static constexpr Word kBegin = kAny ? 0 : 1;
  static void step(Word* w, In x) { w[0] = static_cast<Word>(kAny ? w[0] | (x != 0) : w[0] & (x != 0)); }
  static void combine(Word* w, const Word* v) { step(w, v[0]); }
};

// ---- positions: the key of the best element so far, and the smallest index of one that is as good

// -0.0 and +0.0 are equal here, unlike above.
template <class T>
std::int64_t position_key(T x, std::int64_t of_nan) {
  if constexpr (std::is_floating_point_v<T>) return OrderKey<double>::of(static_cast<double>(x) + 0.0, of_nan);
  else if constexpr (std::is_same_v<T, TruthByte>) return x != TruthByte{} ? 1 : 0;
  else if constexpr (std::is_same_v<T, std::uint64_t>) return static_cast<std::int64_t>(x ^ (std::uint64_t{1} << 63));
  else return static_cast<std::int64_t>(x);
}

template <class T, bool kMin, bool kNanWins>
struct Position {
  using In = T;
  using Word = std::int64_t;
  static constexpr std::size_t kWords = 2;
  static constexpr Word kWorst = kMin ? std::numeric_limits<Word>::max() : std::numeric_limits<Word>::min();
  static constexpr Word kBest = kMin ? std::numeric_limits<Word>::min() : std::numeric_limits<Word>::max();
  static constexpr Word kNan = kNanWins ? kBest : kWorst;
  static constexpr Word kNowhere = std::numeric_limits<Word>::max();
  static constexpr Word kBeginWords[kWords] = {kWorst, kNowhere};
  static void take(Word* w, Word key, Word index) {
    const bool better = (kMin ? key < w[0] : key > w[0]) || (key == w[0] && index < w[1]);
    w[0] = better ? key : w[0];
    w[1] = better ? index : w[1];
  }
  static void step(Word* w, T x, Word index) { take(w, position_key(x, kNan), index); }
  static void combine(Word* w, const Word* v) { take(w, v[0], v[1]); }
};

template <class T, bool kMin, bool kNanWins>
struct PositionComplex {
  using In = std::complex<T>;
  using Word = std::int64_t;
  using Real = Position<T, kMin, kNanWins>;
  static constexpr std::size_t kWords = 3;
  static constexpr Word kWorst = Real::kWorst;
  static constexpr Word kBeginWords[kWords] = {Real::kWorst, Real::kWorst, Real::kNowhere};
  static void take(Word* w, Word re, Word im, Word index) {
    const bool first = kMin ? re < w[0] || (re == w[0] && im < w[1]) : re > w[0] || (re == w[0] && im > w[1]);
    if (first || (re == w[0] && im == w[1] && index < w[2])) {
      w[0] = re;
      w[1] = im;
      w[2] = index;
    }
  }
  static void step(Word* w, In x, Word index) {
    const bool nan = x.real() != x.real() || x.imag() != x.imag();
    take(w, nan ? Real::kNan : position_key(x.real(), Real::kNan), nan ? Real::kNan : position_key(x.imag(), Real::kNan), index);
  }
  static void combine(Word* w, const Word* v) { take(w, v[0], v[1], v[2]); }
};

// Calls visit(std::type_identity<P>{}) with the policy of a reducer for elements of a dtype; kVar has none.
template <class Visitor>
void visit_policy(Reducer reducer, DType dtype, Visitor&& visit) {
  using std::type_identity;
  const auto visit_element = [&](auto of_integer, auto of_float) {
    visit_dtype(dtype, [&](auto x) {
      using T = decltype(x);
      if constexpr (std::is_same_v<T, bool>) of_integer(TruthByte{});
      else if constexpr (std::is_integral_v<T>) of_integer(x);
      else of_float(x);
    });
  };
  const auto extreme = [&]<bool kMin, bool kNanWins>() {
    visit_element(
        [&]<class T>(T) {
          // Whole numbers are never NaN: one policy for both.
          if constexpr (!std::is_same_v<T, TruthByte>) visit(type_identity<Extreme<T, kMin, true>>{});
          else visit(type_identity<Truth<!kMin>>{});
        },
        [&]<class T>(T) {
          if constexpr (std::is_floating_point_v<T>) visit(type_identity<Extreme<T, kMin, kNanWins>>{});
          else visit(type_identity<ExtremeComplex<typename T::value_type, kMin, kNanWins>>{});
        });
  };
  const auto position = [&]<bool kMin, bool kNanWins>() {
    visit_element([&]<class T>(T) { visit(type_identity<Position<T, kMin, true>>{}); },
                  [&]<class T>(T) {
                    if constexpr (std::is_floating_point_v<T>) visit(type_identity<Position<T, kMin, kNanWins>>{});
                    else visit(type_identity<PositionComplex<typename T::value_type, kMin, kNanWins>>{});
                  });
  };
  switch (reducer) {
    case Reducer::kSum:
      return visit_element([&]<class T>(T) { visit(type_identity<SumIntegers<T>>{}); },
                           [&]<class T>(T) {
                             if constexpr (std::is_same_v<T, float>) visit(type_identity<SumWide<float>>{});
                             else if constexpr (std::is_same_v<T, double>) visit(type_identity<SumPair>{});
                             else if constexpr (std::is_same_v<T, std::complex<float>>) visit(type_identity<SumComplex<SumWide<float>>>{});
                             else visit(type_identity<SumComplex<SumPair>>{});
                           });
    case Reducer::kProd:
      return visit_element([&]<class T>(T) { visit(type_identity<ProdIntegers<T>>{}); },
                           [&]<class T>(T) {
                             if constexpr (std::is_floating_point_v<T>) visit(type_identity<ProdFloats<T>>{});
                             else visit(type_identity<ProdComplex<typename T::value_type>>{});
                           });
    case Reducer::kMin: return extreme.template operator()<true, true>();
    case Reducer::kMax: return extreme.template operator()<false, true>();
    case Reducer::kFmin: return extreme.template operator()<true, false>();
    case Reducer::kFmax: return extreme.template operator()<false, false>();
    case Reducer::kAny: return visit(type_identity<Truth<true>>{});
    case Reducer::kAll: return visit(type_identity<Truth<false>>{});
    case Reducer::kArgmin: return position.template operator()<true, true>();
    case Reducer::kArgmax: return position.template operator()<false, true>();
    case Reducer::kNanargmin: return position.template operator()<true, false>();
    case Reducer::kNanargmax: return position.template operator()<false, false>();
    case Reducer::kVar: return;
  }
}

template <class P>
constexpr bool kTellsPosition = requires(typename P::Word* w, typename P::In x) { P::step(w, x, typename P::Word{}); };

template <class P>
constexpr typename P::Word begin_word(std::size_t word) {
  if constexpr (requires { P::kBeginWords; }) return P::kBeginWords[word];
  else return P::kBegin;
}

}  // namespace parcompute::reduction
