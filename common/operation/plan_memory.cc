#include "common/operation/plan_memory.h"

#include <algorithm>

namespace parcompute {
namespace {

template <class T>
void append(std::string& key, const T& value) {
  key.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append(std::string& key, const Dims& lengths) {
  for (const std::int64_t length : lengths) append(key, length);
}

void append(std::string& key, const ArraySpec& spec) {
  append(key, spec.dtype);
  append(key, spec.ndim());
  append(key, spec.shape);
  append(key, spec.strides);
  append(key, spec.offset);
}

}  // namespace

Result<Plan> PlanMemory::plan(const wire::Operation& operation, std::span<const OperandInfo> inputs, const OperandInfo* into) {
  key_.clear();
  append(key_, inputs.size());
  for (const OperandInfo& input : inputs) append(key_, input.spec);
  operation.AppendToString(&key_);

  const auto found = std::find_if(plans_.begin(), plans_.end(), [&](const Remembered& each) { return each.key == key_; });
  if (found != plans_.end()) return plan_into(found->plan, operation, inputs, into);

  auto plan = plan_fresh(operation, inputs);
  if (!plan) return plan;
  if (key_.size() <= kMostKeyBytes) {
    plans_[next_] = {key_, *plan};
    next_ = (next_ + 1) % kPlans;
  }
  return plan_into(*std::move(plan), operation, inputs, into);
}

}  // namespace parcompute
