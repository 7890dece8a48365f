// PlanMemory: the last few plans, found again by what they were made of. A program that asks for small jobs asks for the same
// ones, of other arrays, again and again; to compile an expression takes longer than to add up a thousand numbers.
//
// Plans are pure functions of their operation and of its operands' specs, so that to remember one changes nothing but time.
// What was refused is not remembered: the words of a refusal name the operands.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>

#include "common/operation/operation.h"

namespace parcompute {

class PlanMemory {
 public:
  // As plan_operation().
  Result<Plan> plan(const wire::Operation& operation, std::span<const OperandInfo> inputs, const OperandInfo* into = nullptr);

 private:
  static constexpr std::size_t kPlans = 16;
  // Longer ones are not remembered; a plan is not much larger than what it was made of.
  static constexpr std::size_t kMostKeyBytes = 1024;

  struct Remembered {
    std::string key;
    Plan plan;
  };
  std::array<Remembered, kPlans> plans_;
  std::size_t next_ = 0;  // the oldest, whose place the next one takes
  std::string key_;       // of the plan at hand
};

}  // namespace parcompute
