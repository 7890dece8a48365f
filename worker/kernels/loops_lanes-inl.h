// The operations that our own functions of float64 are made of (loops_sine-inl.h, loops_exp-inl.h). Every one is IEEE's, fused
// ones included, so that vectors of any width and single numbers give the same bits.
#if defined(PARCOMPUTE_LOOPS_LANES_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef PARCOMPUTE_LOOPS_LANES_INL_H
#undef PARCOMPUTE_LOOPS_LANES_INL_H
#else
#define PARCOMPUTE_LOOPS_LANES_INL_H
#endif

#include <bit>
#include <cmath>
#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace parcompute {
namespace HWY_NAMESPACE {

// On vectors.
struct Lanes {
  using D = hwy::HWY_NAMESPACE::ScalableTag<double>;
  using V = hwy::HWY_NAMESPACE::Vec<D>;
  using Du = hwy::HWY_NAMESPACE::RebindToUnsigned<D>;

  static HWY_INLINE V set(double x) { return hwy::HWY_NAMESPACE::Set(D(), x); }
  static HWY_INLINE V add(V a, V b) { return hwy::HWY_NAMESPACE::Add(a, b); }
  static HWY_INLINE V sub(V a, V b) { return hwy::HWY_NAMESPACE::Sub(a, b); }
  static HWY_INLINE V mul(V a, V b) { return hwy::HWY_NAMESPACE::Mul(a, b); }
  static HWY_INLINE V fma(V a, V b, V c) { return hwy::HWY_NAMESPACE::MulAdd(a, b, c); }
  static HWY_INLINE V fnma(V a, V b, V c) { return hwy::HWY_NAMESPACE::NegMulAdd(a, b, c); }

  // x where |x| is less than `bound`, else y.
  static HWY_INLINE V tiny_or(V x, double bound, V y) {
    namespace hn = hwy::HWY_NAMESPACE;
    return hn::IfThenElse(hn::Lt(hn::Abs(x), set(bound)), x, y);
  }
  // By the last two bits of `turns` + kTurns: the first or the second, negated or not.
  template <std::uint64_t kTurns>
  static HWY_INLINE V choose(V turns, V even, V odd) {
    namespace hn = hwy::HWY_NAMESPACE;
    const Du du;
    const auto quadrant = hn::Add(hn::BitCast(du, turns), hn::Set(du, kTurns));
    const auto is_odd = hn::RebindMask(D(), hn::TestBit(quadrant, hn::Set(du, std::uint64_t{1})));
    const auto sign = hn::ShiftLeft<62>(hn::And(quadrant, hn::Set(du, std::uint64_t{2})));
    return hn::Xor(hn::IfThenElse(is_odd, odd, even), hn::BitCast(D(), sign));
  }
  // x times two to what the last bits of `powers` count, both normal.
  static HWY_INLINE V scale(V x, V powers) {
    namespace hn = hwy::HWY_NAMESPACE;
    const Du du;
    return hn::BitCast(D(), hn::Add(hn::BitCast(du, x), hn::ShiftLeft<52>(hn::BitCast(du, powers))));
  }
};

// On one number.
struct OneLane {
  using V = double;

  static HWY_INLINE V set(double x) { return x; }
  static HWY_INLINE V add(V a, V b) { return a + b; }
  static HWY_INLINE V sub(V a, V b) { return a - b; }
  static HWY_INLINE V mul(V a, V b) { return a * b; }
  static HWY_INLINE V fma(V a, V b, V c) { return __builtin_fma(a, b, c); }
  static HWY_INLINE V fnma(V a, V b, V c) { return __builtin_fma(-a, b, c); }
  static HWY_INLINE V tiny_or(V x, double bound, V y) { return std::fabs(x) < bound ? x : y; }
  template <std::uint64_t kTurns>
  static HWY_INLINE V choose(V turns, V even, V odd) {
    const std::uint64_t quadrant = std::bit_cast<std::uint64_t>(turns) + kTurns;
    const double chosen = (quadrant & 1) != 0 ? odd : even;
    return (quadrant & 2) != 0 ? -chosen : chosen;
  }
  static HWY_INLINE V scale(V x, V powers) {
    return std::bit_cast<double>(std::bit_cast<std::uint64_t>(x) + (std::bit_cast<std::uint64_t>(powers) << 52));
  }
};

// On two at once: one's operations fill the time that the other's wait for their operands.
template <class O>
struct LanePairs {
  struct V {
    typename O::V first, second;
  };

  static HWY_INLINE V set(double x) { return {O::set(x), O::set(x)}; }
  static HWY_INLINE V add(V a, V b) { return {O::add(a.first, b.first), O::add(a.second, b.second)}; }
  static HWY_INLINE V sub(V a, V b) { return {O::sub(a.first, b.first), O::sub(a.second, b.second)}; }
  static HWY_INLINE V mul(V a, V b) { return {O::mul(a.first, b.first), O::mul(a.second, b.second)}; }
  static HWY_INLINE V fma(V a, V b, V c) {
    return {O::fma(a.first, b.first, c.first), O::fma(a.second, b.second, c.second)};
  }
  static HWY_INLINE V fnma(V a, V b, V c) {
    return {O::fnma(a.first, b.first, c.first), O::fnma(a.second, b.second, c.second)};
  }
  static HWY_INLINE V tiny_or(V x, double bound, V y) {
    return {O::tiny_or(x.first, bound, y.first), O::tiny_or(x.second, bound, y.second)};
  }
  template <std::uint64_t kTurns>
  static HWY_INLINE V choose(V turns, V even, V odd) {
    return {O::template choose<kTurns>(turns.first, even.first, odd.first),
            O::template choose<kTurns>(turns.second, even.second, odd.second)};
  }
  static HWY_INLINE V scale(V x, V powers) {
    return {O::scale(x.first, powers.first), O::scale(x.second, powers.second)};
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace parcompute
HWY_AFTER_NAMESPACE();

#endif
