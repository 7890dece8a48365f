// The plan of fill: what a new array may begin with.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/base/checked.h"
#include "common/operation/fill_plan.h"
#include "common/operation/plans.h"

namespace parcompute {
namespace {

constexpr double kFillBytesPerNs = 8;
// Where each element is computed.
constexpr double kCountBytesPerNs = 5;

Result<void> check_value(const wire::Fill& fill, const ArraySpec& spec) {
  if (fill.value().size() != itemsize(spec.dtype))
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the value to fill a new array of {} with has {} bytes; an element has {}",
                            format_spec(spec), fill.value().size(), itemsize(spec.dtype)));
  if (spec.dtype == DType::kBool && static_cast<unsigned char>(fill.value()[0]) > 1)
    return fail(ErrorCode::kInvalidArgument, "a bool is the byte 0 or 1");
  return {};
}

Result<void> check_c_order(std::string_view what, const ArraySpec& spec) {
  if (is_c_contiguous(spec)) return {};
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("{} fills arrays in C order; {} is not", what, format_spec(spec)));
}

Result<void> check_arange(const wire::Fill& fill, const ArraySpec& spec) {
  if (spec.dtype == DType::kBool && element_count(spec) > 2)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("arange is defined for at most 2 bools, not for a new array of {}", format_spec(spec)));
  if (auto ok = check_c_order("arange", spec); !ok) return ok;
  const auto terms = arange_terms(fill);
  if (!terms) return fail(terms.error());
  const std::uint64_t count = element_count(spec);
  if (count >= 1)
    if (auto ok = check_fits(terms->first, spec.dtype, "arange's start"); !ok) return ok;
  if (count >= 2) return check_fits(terms->second, spec.dtype, "arange's second element");
  return {};
}

// Of integers the floor counts.
Result<void> check_end(const Number& end, DType dtype, std::string_view what) {
  const Kind kind = info(dtype).kind;
  if (kind == Kind::kBool) return end.is_complex ? check_fits(end, dtype, what) : Result<void>{};
  if (kind != Kind::kSigned && kind != Kind::kUnsigned) return check_fits(end, dtype, what);
  Number whole = end;
  whole.is_integer = false;
  whole.real = std::floor(end.as_double());
  return check_fits(whole, dtype, what);
}

Result<void> check_linspace(const wire::Fill& fill, const ArraySpec& spec) {
  if (auto ok = check_c_order("linspace", spec); !ok) return ok;
  const auto ends = linspace_ends(fill);
  if (!ends) return fail(ends.error());
  if (auto ok = check_end(ends->start, spec.dtype, "linspace's start"); !ok) return ok;
  if (auto ok = check_end(ends->stop, spec.dtype, "linspace's stop"); !ok) return ok;
  if (!std::isfinite(ends->stop.as_double() - ends->start.as_double()) ||
      !std::isfinite(ends->stop.imaginary - ends->start.imaginary))
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("linspace from {} to {} spans more than float64 can tell; choose nearer ends",
                            format_number(ends->start), format_number(ends->stop)));
  return {};
}

Result<void> check_eye(const ArraySpec& spec) {
  if (spec.ndim() == 2) return {};
  return fail(
      ErrorCode::kInvalidArgument,
      fmt::format("eye makes matrices, of 2 dimensions; a new array of {} has {}", format_spec(spec), spec.ndim()));
}

Result<void> check_fill(const wire::Fill& fill, const ArraySpec& spec) {
  if (!is_dense(spec) || spec.offset != 0)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("a new array of {} cannot have gaps or an offset; ask for C or Fortran order",
                            format_spec(spec)));
  switch (fill.how()) {
    case wire::Fill::ZEROS:
      return {};
    case wire::Fill::VALUE:
      return check_value(fill, spec);
    case wire::Fill::ARANGE:
      return check_arange(fill, spec);
    case wire::Fill::LINSPACE:
      return check_linspace(fill, spec);
    case wire::Fill::EYE:
      return check_eye(spec);
    default:
      return fail(ErrorCode::kUnsupported,
                  fmt::format("fill's way {} is unknown; choose zeros, a value, arange, linspace or eye",
                              static_cast<int>(fill.how())));
  }
}

Number integer(std::int64_t x) {
  Number number;
  number.integer = x;
  return number;
}

}  // namespace

Result<ArangeTerms> arange_terms(const wire::Fill& fill) {
  ArangeTerms terms;
  if (fill.has_start()) {
    auto start = number_from_wire(fill.start(), "arange's start");
    if (!start) return fail(start.error());
    terms.first = *start;
  }
  Number step = integer(1);
  if (fill.has_step()) {
    auto given = number_from_wire(fill.step(), "arange's step");
    if (!given) return fail(given.error());
    step = *given;
  }
  if (step.is_zero())
    return fail(ErrorCode::kInvalidArgument, "arange's step is 0; give another, or fill the array with one value");
  terms.second = add(terms.first, step);
  return terms;
}

Result<LinspaceEnds> linspace_ends(const wire::Fill& fill) {
  if (!fill.has_start() || !fill.has_stop())
    return fail(ErrorCode::kInvalidArgument, "linspace needs both its ends: start and stop");
  const auto start = number_from_wire(fill.start(), "linspace's start");
  if (!start) return fail(start.error());
  const auto stop = number_from_wire(fill.stop(), "linspace's stop");
  if (!stop) return fail(stop.error());
  return LinspaceEnds{*start, *stop};
}

Result<Plan> plan_fill(const wire::Operation& operation, Operands) {
  const wire::Fill& fill = operation.fill();
  auto spec = from_wire(fill.spec());
  if (!spec) return fail(spec.error());
  if (auto ok = check_fill(fill, *spec); !ok) return fail(ok.error());

  Plan plan;
  const std::uint64_t bytes = byte_count(*spec);
  const bool is_computed = fill.how() == wire::Fill::ARANGE || fill.how() == wire::Fill::LINSPACE;
  plan.output_is_zeroed = fill.how() == wire::Fill::ZEROS;
  if (bytes != 0 && !plan.output_is_zeroed)
    plan.phases.push_back({ceil_div(bytes, kCopyBlockBytes),
                           static_cast<double>(std::min(bytes, kCopyBlockBytes)) / (is_computed ? kCountBytesPerNs : kFillBytesPerNs),
                           kCopyBlockBytes / itemsize(spec->dtype)});
  plan.bytes_written = bytes;
  plan.output = *std::move(spec);
  return plan;
}

}  // namespace parcompute
