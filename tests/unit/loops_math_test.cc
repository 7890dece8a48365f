// Functions of float32 and float64 against MPFR: within 1 ULP everywhere, and right at every special value.
#include <mpfr.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/instruction_sets.h"
#include "worker/kernels/loops.h"

namespace parcompute {
namespace {

using testing::WithInstructionSet;

using Unary = int (*)(mpfr_t, const mpfr_t, mpfr_rnd_t);
using Binary = int (*)(mpfr_t, const mpfr_t, const mpfr_t, mpfr_rnd_t);

int log_gamma(mpfr_t result, const mpfr_t x, mpfr_rnd_t rounding) {
  int sign;
  return mpfr_lgamma(result, &sign, x, rounding);
}

struct Row {
  Op op;
  Unary exact;
  // MPFR's gamma takes long, or its result does not end, far out.
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
};

constexpr double kInfinity = std::numeric_limits<double>::infinity();

const Row kRows[] = {
    {Op::kCbrt, mpfr_cbrt},
    {Op::kExp, mpfr_exp},
    {Op::kExpm1, mpfr_expm1},
    {Op::kExp2, mpfr_exp2},
    {Op::kLog, mpfr_log},
    {Op::kLog1p, mpfr_log1p},
    {Op::kLog2, mpfr_log2},
    {Op::kLog10, mpfr_log10},
    {Op::kSin, mpfr_sin},
    {Op::kCos, mpfr_cos},
    {Op::kTan, mpfr_tan},
    {Op::kArcsin, mpfr_asin},
    {Op::kArccos, mpfr_acos},
    {Op::kArctan, mpfr_atan},
    {Op::kSinh, mpfr_sinh},
    {Op::kCosh, mpfr_cosh},
    {Op::kTanh, mpfr_tanh},
    {Op::kArcsinh, mpfr_asinh},
    {Op::kArccosh, mpfr_acosh},
    {Op::kArctanh, mpfr_atanh},
    {Op::kErf, mpfr_erf},
    {Op::kSqrt, mpfr_sqrt},
    {Op::kGamma, mpfr_gamma, -400, 200},
    {Op::kLgamma, log_gamma, -1e4, kInfinity},
};

struct BinaryRow {
  Op op;
  Binary exact;
};

const BinaryRow kBinaryRows[] = {{Op::kPower, mpfr_pow}, {Op::kArctan2, mpfr_atan2}, {Op::kHypot, mpfr_hypot}};

// Exponents beyond those of float64, for what overflows and underflows.
class Mpfr {
 public:
  explicit Mpfr(mpfr_prec_t precision) {
    mpfr_set_emin(-5000);
    mpfr_set_emax(5000);
    mpfr_init2(value_, precision);
  }
  Mpfr(const Mpfr&) = delete;
  Mpfr& operator=(const Mpfr&) = delete;
  ~Mpfr() { mpfr_clear(value_); }
  operator mpfr_ptr() { return value_; }

 private:
  mpfr_t value_;
};

template <class T>
T rounded(mpfr_ptr x) {
  if constexpr (sizeof(T) == 8)
    return mpfr_get_d(x, MPFR_RNDN);
  else
    return mpfr_get_flt(x, MPFR_RNDN);
}

// The distance of `got` from `exact` in units of the last place of the rounded exact value; infinite where a special
// value, a zero's sign or a NaN is wrong.
template <class T>
double error_in_ulp(T got, mpfr_ptr exact, bool check_zero_sign) {
  const T wanted = rounded<T>(exact);
  if (std::isnan(got) || std::isnan(wanted)) return std::isnan(got) && std::isnan(wanted) ? 0 : kInfinity;
  if (got == wanted && (got != 0 || !check_zero_sign || std::signbit(got) == std::signbit(wanted)) &&
      (std::isinf(got) || mpfr_zero_p(exact) != 0))
    return 0;
  constexpr T kMost = std::numeric_limits<T>::max();
  const T size = std::min(std::fabs(wanted), kMost);
  const double unit = static_cast<double>(size) < 2 * static_cast<double>(std::numeric_limits<T>::min())
                          ? static_cast<double>(std::numeric_limits<T>::denorm_min())
                          : std::exp2(std::ilogb(size) - std::numeric_limits<T>::digits + 1);
  if (got == 0 && wanted == 0 && check_zero_sign && std::signbit(got) != std::signbit(wanted)) return kInfinity;
  if (mpfr_inf_p(exact) != 0) return kInfinity;
  // Infinity stands for the next number after the largest.
  Mpfr difference(200);
  if (std::isinf(got)) {
    mpfr_set_d(difference, kMost, MPFR_RNDN);
    mpfr_add_d(difference, difference, unit, MPFR_RNDN);
    if (got < 0) mpfr_neg(difference, difference, MPFR_RNDN);
  } else {
    mpfr_set_d(difference, static_cast<double>(got), MPFR_RNDN);
  }
  mpfr_sub(difference, difference, exact, MPFR_RNDN);
  mpfr_div_d(difference, difference, unit, MPFR_RNDN);
  return std::fabs(mpfr_get_d(difference, MPFR_RNDU));
}

template <class T>
std::vector<T> specials() {
  using Limits = std::numeric_limits<T>;
  std::vector<T> all{T(0),
                     T(1),
                     T(0.5),
                     T(2),
                     T(3),
                     T(1.5),
                     T(0.75),
                     T(10),
                     T(100),
                     T(88.5),
                     T(89.4),
                     T(709.5),
                     T(710.4),
                     T(745.1),
                     T(170.5),
                     T(171.5),
                     T(34.9),
                     T(35.1),
                     T(1e10),
                     T(1e18),
                     T(1e22F),
                     T(4.05e36F),
                     T(1e38F),
                     T(3e38F),
                     Limits::max(),
                     Limits::min(),
                     Limits::denorm_min(),
                     Limits::min() / 3,
                     Limits::epsilon(),
                     Limits::epsilon() / 3,
                     Limits::infinity(),
                     Limits::quiet_NaN(),
                     T(0x1p52),
                     T(0x1p24F) - 1,
                     T(0x1p23F) + 1};
  if constexpr (sizeof(T) == 8)
    for (const double x :
         {1e150, 1e155, 1e300, 1e306, 2e307, 1e308, 2.5e305, 0x1p53 - 1, 1e-300, 1e-305, 1e-310, 1e-154})
      all.push_back(x);
  for (const T x : std::vector<T>(all)) {
    all.push_back(std::nextafter(x, T(0)));
    all.push_back(std::nextafter(x, Limits::infinity()));
  }
  for (const T x : std::vector<T>(all)) all.push_back(-x);
  return all;
}

// Wide ranges: random bits, every power of two, ordinary numbers, neighbours of whole numbers and of multiples of pi
// / 2.
template <class T>
std::vector<T> arguments(std::size_t each, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto unit = [&] { return static_cast<double>(random() >> 11) * 0x1p-53; };
  const auto sign = [&] { return (random() & 1) != 0 ? -1.0 : 1.0; };
  std::vector<T> all = specials<T>();
  for (std::size_t i = 0; i < each; ++i) {
    T x;
    const std::uint64_t bits = random();
    std::memcpy(&x, &bits, sizeof x);
    all.push_back(x);
    all.push_back(static_cast<T>(sign() * std::exp2(unit() * 60 - 50)));
    all.push_back(static_cast<T>(unit() * 20 - 10));
    all.push_back(static_cast<T>(unit() * 1600 - 800));
    all.push_back(static_cast<T>(unit() * 200 - 100));
    const double whole = std::round(unit() * 60 - 30);
    all.push_back(static_cast<T>(whole * (1 + sign() * std::exp2(-unit() * 52))));
    const double turn = std::floor(std::exp2(unit() * 30)) * 1.5707963267948966;
    all.push_back(std::nextafter(static_cast<T>(turn), static_cast<T>(turn * (1 + sign()))));
    all.push_back(static_cast<T>(sign() * (1 + sign() * std::exp2(-unit() * 53))));
  }
  return all;
}

template <class T>
std::vector<T> run(Op op, const std::vector<T>& a, const std::vector<T>* b = nullptr) {
  std::vector<T> out(a.size());
  const Strip strip{.in = {a.data(), b == nullptr ? nullptr : b->data()}, .out = out.data(), .count = a.size()};
  EXPECT_EQ(find_loop(op, sizeof(T) == 8 ? DType::kFloat64 : DType::kFloat32)(strip), LoopFault::kNone);
  return out;
}

// What every instruction set gives: the same bits.
template <class T>
std::vector<T> run_on_all(Op op, const std::vector<T>& a, const std::vector<T>* b = nullptr) {
  std::vector<T> first;
  for (const std::string_view isa : available_instruction_sets()) {
    const WithInstructionSet with(isa);
    const std::vector<T> out = run(op, a, b);
    if (first.empty()) first = out;
    for (std::size_t i = 0; i < out.size(); ++i)
      if (std::memcmp(&out[i], &first[i], sizeof(T)) != 0) {
        ADD_FAILURE() << fmt::format("{}({}{}) is {} on {} and {} elsewhere", info(op).name, a[i],
                                     b == nullptr ? "" : fmt::format(", {}", (*b)[i]), out[i], isa, first[i]);
        break;
      }
  }
  return first;
}

struct Worst {
  double error = 0;
  std::size_t at = 0;
};

// How many arguments of a kind: PARCOMPUTE_LOOPS_EACH for long searches.
std::size_t each() {
  const char* text = std::getenv("PARCOMPUTE_LOOPS_EACH");
  return text == nullptr ? 400 : static_cast<std::size_t>(std::atoll(text));
}

template <class T>
void check_unary(const Row& row) {
  std::vector<T> a = arguments<T>(each(), 11);
  std::erase_if(a, [&](T x) { return std::isfinite(x) && (x < T(row.low) || x > T(row.high)); });
  const std::vector<T> out = run_on_all<T>(row.op, a);
  Mpfr x(53), exact(160);
  Worst worst;
  for (std::size_t i = 0; i < a.size(); ++i) {
    mpfr_set_d(x, static_cast<double>(a[i]), MPFR_RNDN);
    row.exact(exact, x, MPFR_RNDN);
    const double error = error_in_ulp(out[i], exact, true);
    if (error > worst.error) worst = {error, i};
    if (error > 1)
      ADD_FAILURE() << fmt::format("{}({}) of {} bits: got {}, wanted {}: {} ULP", info(row.op).name, a[i],
                                   8 * sizeof(T), out[i], rounded<T>(exact), error);
  }
  fmt::print("{:9} float{}: worst {:.4f} ULP at {} of {}\n", info(row.op).name, 8 * sizeof(T), worst.error, a[worst.at],
             a.size());
}

template <class T>
void check_binary(const BinaryRow& row) {
  std::vector<T> a, b;
  for (const T x : specials<T>())
    for (const T y : {T(0), T(1), T(2), T(3), T(0.5), T(1e10), T(0x1p53), T(1e-40), std::numeric_limits<T>::infinity(),
                      std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::max(), T(33), T(0x1p24F) - 1})
      for (const T sign : {T(1), T(-1)}) a.push_back(x), b.push_back(sign * y);
  std::mt19937_64 random(12);
  const auto unit = [&] { return static_cast<double>(random() >> 11) * 0x1p-53; };
  for (std::size_t i = 0; i < each() * 2; ++i) {
    const std::uint64_t bits[2] = {random(), random()};
    T x, y;
    std::memcpy(&x, &bits[0], sizeof x);
    std::memcpy(&y, &bits[1], sizeof y);
    a.push_back(x), b.push_back(y);
    a.push_back(static_cast<T>(unit() * 20 - 10)), b.push_back(static_cast<T>(unit() * 20 - 10));
    a.push_back(static_cast<T>(std::exp2(unit() * 40 - 20))), b.push_back(static_cast<T>((unit() * 2 - 1) * 60));
    a.push_back(static_cast<T>(1 + (unit() - 0.5) * std::exp2(-unit() * 50)));
    b.push_back(static_cast<T>((unit() - 0.5) * std::exp2(unit() * 50)));
    const double scale = std::exp2(unit() * 2000 - 1000);
    a.push_back(static_cast<T>(scale)), b.push_back(static_cast<T>(scale * std::exp2(unit() * 60 - 30)));
  }
  const std::vector<T> out = run_on_all<T>(row.op, a, &b);
  Mpfr x(53), y(53), exact(160);
  Worst worst;
  for (std::size_t i = 0; i < a.size(); ++i) {
    mpfr_set_d(x, static_cast<double>(a[i]), MPFR_RNDN);
    mpfr_set_d(y, static_cast<double>(b[i]), MPFR_RNDN);
    row.exact(exact, x, y, MPFR_RNDN);
    const double error = error_in_ulp(out[i], exact, true);
    if (error > worst.error) worst = {error, i};
    if (error > 1)
      ADD_FAILURE() << fmt::format("{}({}, {}) of {} bits: got {}, wanted {}: {} ULP", info(row.op).name, a[i], b[i],
                                   8 * sizeof(T), out[i], rounded<T>(exact), error);
  }
  fmt::print("{:9} float{}: worst {:.4f} ULP at {}, {} of {}\n", info(row.op).name, 8 * sizeof(T), worst.error,
             a[worst.at], b[worst.at], a.size());
}

TEST(LoopsMath, Float64FunctionsAreWithinOneUlp) {
  for (const Row& row : kRows) check_unary<double>(row);
}

TEST(LoopsMath, Float32FunctionsAreWithinOneUlp) {
  for (const Row& row : kRows) check_unary<float>(row);
}

// The x of [1, 4) whose roots lie nearest to the middle of two numbers. With x = N 2^-52 (2^-51 from 2 on) and the middle
// M 2^-53, M odd, x 2^106 is N 2^54 (2^55) = M^2 + j, and the smaller |j|, the nearer. For a j that is 7 modulo 8 the M
// are the four roots of -j modulo 2^54 (2^55), which bits added from the lowest up find.
std::vector<double> hardest_squares(std::int64_t most) {
  __extension__ using Wide = unsigned __int128;
  std::vector<double> all;
  for (std::int64_t j = -most; j <= most; ++j) {
    if (((j % 8) + 8) % 8 != 7) continue;
    for (const int power : {54, 55}) {
      const auto rest = [&](std::uint64_t root, int bits) {
        return (Wide{root} * root + static_cast<Wide>(j)) % (Wide{1} << bits);
      };
      std::uint64_t root = 1;
      for (int bits = 3; bits < power; ++bits)
        if (rest(root, bits + 1) != 0) root += std::uint64_t{1} << (bits - 1);
      const std::uint64_t modulus = std::uint64_t{1} << power;
      for (const std::uint64_t other : {root, modulus - root, root + modulus / 2, modulus / 2 - root}) {
        const std::uint64_t middle = other % modulus;
        EXPECT_EQ(rest(middle, power), 0U);
        const Wide n = (Wide{middle} * middle + static_cast<Wide>(j)) >> power;
        if (middle >> 53 == 1 && n >> 52 == 1) all.push_back(std::ldexp(static_cast<double>(n), power - 106));
      }
    }
  }
  return all;
}

TEST(LoopsMath, SquareRootsAreRoundedCorrectly) {
  std::vector<double> a = hardest_squares(4096);
  EXPECT_GT(a.size(), 1400U);
  for (const double x : std::vector<double>(a))
    for (const int power : {-1022, -902, -900, -898, -2, 2, 998, 1000, 1020}) a.push_back(std::ldexp(x, power));
  std::mt19937_64 random(13);
  for (std::size_t i = 0; i < 200 * each(); ++i)
    a.push_back(std::bit_cast<double>((random() >> 2) + (std::uint64_t{511} << 52)));
  for (const double x : arguments<double>(each(), 14)) a.push_back(x);

  const std::vector<double> out = run_on_all<double>(Op::kSqrt, a);
  Mpfr x(53), exact(53);
  for (std::size_t i = 0; i < a.size(); ++i) {
    mpfr_set_d(x, a[i], MPFR_RNDN);
    mpfr_sqrt(exact, x, MPFR_RNDN);
    const double wanted = mpfr_get_d(exact, MPFR_RNDN);
    if (!(out[i] == wanted || (std::isnan(out[i]) && std::isnan(wanted))))
      ADD_FAILURE() << fmt::format("sqrt({:a}): got {:a}, wanted {:a}", a[i], out[i], wanted);
  }
}

TEST(LoopsMath, FunctionsOfTwoAreWithinOneUlp) {
  for (const BinaryRow& row : kBinaryRows) {
    check_binary<double>(row);
    check_binary<float>(row);
  }
}

}  // namespace
}  // namespace parcompute
