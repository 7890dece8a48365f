// bincount (plan: common/operation/bin_plans.cc).
#include <type_traits>

#include <fmt/format.h>

#include "worker/kernels/bin_counts.h"
#include "worker/kernels/kernels_made.h"

namespace parcompute {
namespace {

template <class T>
std::unique_ptr<Kernel> make_bincount_of(KernelJob job) {
  const std::uint64_t length = job.operation.bincount().length();
  const bool weighted = job.inputs.size() == 2;
  const OperandInfo operand{job.inputs[0].spec, job.inputs[0].label};
  auto locate = [length, operand](const T* elements, std::uint64_t first, std::uint64_t count,
                                  std::int64_t* bins) -> Result<void> {
    for (std::uint64_t i = 0; i < count; ++i) {
      // Read once: clients may write it meanwhile, and what is checked must be what is used.
      const T element = *static_cast<const volatile T*>(elements + i);
      // A negative value becomes one past every length.
      const auto bin = static_cast<std::uint64_t>(static_cast<std::int64_t>(element));
      if (bin >= length)
        return fail(
            ErrorCode::kInvalidArgument,
            fmt::format("bincount of {}: element {} in C order is {}; values lie from 0 to below the length, {}",
                        format_operand(operand), first + i, element, length));
      bins[i] = static_cast<std::int64_t>(bin);
    }
    return {};
  };
  return make_bin_counts<T>(std::move(job), length, weighted, std::move(locate));
}

}  // namespace

std::unique_ptr<Kernel> make_bincount(KernelJob job) {
  if (job.inputs[0].spec.dtype == DType::kBool) return make_bincount_of<std::uint8_t>(std::move(job));
  return visit_dtype(job.inputs[0].spec.dtype, [&](auto x) -> std::unique_ptr<Kernel> {
    using T = decltype(x);
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) return make_bincount_of<T>(std::move(job));
    return nullptr;  // refused by the plan
  });
}

}  // namespace parcompute
