// The plan of random, and what its parameters may be.
#include "common/operation/random_plan.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "common/base/checked.h"
#include "common/operation/plans.h"

namespace parcompute {
namespace {

using D = wire::Random::DistributionCase;

// What one core makes in a nanosecond: a guess for the first chunks.
constexpr double kWordsPerNs = 0.3;

std::string_view distribution_name(D distribution) {
  switch (distribution) {
    case D::kUniform:
      return "uniform";
    case D::kNormal:
      return "normal";
    case D::kExponential:
      return "exponential";
    default:
      return "integers";
  }
}

Result<void> check_finite(std::string_view what, double x) {
  if (std::isfinite(x)) return {};
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("the {} of random numbers is {}; give a finite number", what, x));
}
Result<void> check_scale(std::string_view what, double x) {
  if (auto ok = check_finite(what, x); !ok) return ok;
  if (x >= 0) return {};
  return fail(ErrorCode::kInvalidArgument, fmt::format("the {} of random numbers is {}; give 0 or more", what, x));
}

Result<void> check_uniform(const wire::Random::Uniform& uniform, DType dtype) {
  if (auto ok = check_finite("low end", uniform.low()); !ok) return ok;
  if (auto ok = check_finite("high end", uniform.high()); !ok) return ok;
  if (uniform.high() < uniform.low())
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("random numbers from {} to {}: the high end lies below the low one", uniform.low(),
                            uniform.high()));
  const bool fits = dtype == DType::kFloat64
                        ? std::isfinite(uniform.high() - uniform.low())
                        : std::isfinite(static_cast<float>(uniform.high()) - static_cast<float>(uniform.low()));
  if (!fits)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("random numbers from {} to {} lie further apart than {} can tell; choose nearer ends",
                            uniform.low(), uniform.high(), name(dtype)));
  return {};
}

Result<void> check_parameters(const wire::Random& random, DType dtype) {
  switch (random.distribution_case()) {
    case D::kUniform:
      return check_uniform(random.uniform(), dtype);
    case D::kNormal:
      if (auto ok = check_finite("mean", random.normal().mean()); !ok) return ok;
      return check_scale("standard deviation", random.normal().standard_deviation());
    case D::kExponential:
      return check_scale("scale", random.exponential().scale());
    case D::kIntegers:
      if (auto range = integer_range(random.integers(), dtype); !range) return fail(range.error());
      return {};
    default:
      return fail(
          ErrorCode::kUnsupported,
          "the distribution of the random numbers is unknown; choose uniform, normal, exponential or integers");
  }
}

Result<void> check_dtype(D distribution, const ArraySpec& spec) {
  const Kind kind = info(spec.dtype).kind;
  const bool of_integers = distribution == D::kIntegers;
  if (of_integers ? kind != Kind::kFloat && kind != Kind::kComplex : kind == Kind::kFloat) return {};
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("{} random numbers cannot fill a new array of {}: they are made as {}",
                          distribution_name(distribution), format_spec(spec),
                          of_integers ? "bool and as all integers" : "float32 and float64"));
}

// One element's bytes as 64 bits.
std::uint64_t widened(const std::string& bytes, DType dtype) {
  return visit_dtype(dtype, [&](auto x) -> std::uint64_t {
    using T = decltype(x);
    if constexpr (std::is_integral_v<T>) {
      std::memcpy(&x, bytes.data(), sizeof x);
      return static_cast<std::uint64_t>(x);
    } else {
      return 0;
    }
  });
}

std::string integer_text(std::uint64_t bits, DType dtype) {
  return info(dtype).kind == Kind::kSigned ? std::to_string(static_cast<std::int64_t>(bits)) : std::to_string(bits);
}

// Words that one element takes, as a share.
double words_of(const wire::Random& random, DType dtype) {
  if (random.distribution_case() != D::kIntegers) return itemsize(dtype) == 4 && random.has_uniform() ? 0.5 : 1;
  const auto range = integer_range(random.integers(), dtype);
  return range ? range->width / 64.0 : 1;
}

}  // namespace

Result<IntegerRange> integer_range(const wire::Random::Integers& integers, DType dtype) {
  for (const std::string* end : {&integers.least(), &integers.most()}) {
    if (end->size() != itemsize(dtype))
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("an end of the random integers has {} bytes; an element of {} has {}", end->size(),
                              name(dtype), itemsize(dtype)));
    if (dtype == DType::kBool && static_cast<unsigned char>(end->front()) > 1)
      return fail(ErrorCode::kInvalidArgument, "a bool is the byte 0 or 1");
  }
  IntegerRange range{.least = widened(integers.least(), dtype)};
  const std::uint64_t most = widened(integers.most(), dtype);
  const bool is_signed = info(dtype).kind == Kind::kSigned;
  if (is_signed ? static_cast<std::int64_t>(most) < static_cast<std::int64_t>(range.least) : most < range.least)
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("there are no integers from {} to {}: the high end, which is included, lies below the low one",
                    integer_text(range.least, dtype), integer_text(most, dtype)));
  range.last = most - range.least;
  // n = last + 1 is a power of two where last has ones alone.
  if ((range.last & (range.last + 1)) == 0) {
    const auto bits = static_cast<unsigned>(std::bit_width(range.last));
    range.width = bits <= 8 ? 8 : bits <= 16 ? 16 : bits <= 32 ? 32 : 64;
  } else {
    range.width = range.last < (std::uint64_t{1} << 32) ? 64 : 128;
  }
  return range;
}

Result<Plan> plan_random(const wire::Operation& operation, Operands) {
  const wire::Random& random = operation.random();
  auto spec = from_wire(random.spec());
  if (!spec) return fail(spec.error());
  if (!is_c_contiguous(*spec) || spec->offset != 0)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("random numbers fill new arrays in C order; {} is not", format_spec(*spec)));
  if (random.distribution_case() != D::DISTRIBUTION_NOT_SET)
    if (auto ok = check_dtype(random.distribution_case(), *spec); !ok) return fail(ok.error());
  if (auto ok = check_parameters(random, spec->dtype); !ok) return fail(ok.error());

  Plan plan;
  const std::uint64_t elements = element_count(*spec);
  if (elements != 0)
    plan.phases.push_back(
        {ceil_div(elements, kRandomBlockElements), static_cast<double>(std::min(elements, kRandomBlockElements)) *
                                                       words_of(random, spec->dtype) / kWordsPerNs,
         kRandomBlockElements});
  plan.bytes_written = byte_count(*spec);
  plan.output = *std::move(spec);
  return plan;
}

}  // namespace parcompute
