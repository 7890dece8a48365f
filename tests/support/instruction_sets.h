// A test's instruction set, put back to the best when the test ends.
#pragma once

#include <string_view>

#include <gtest/gtest.h>

#include "worker/kernels/instruction_set.h"

namespace parcompute::testing {

class WithInstructionSet {
 public:
  explicit WithInstructionSet(std::string_view name) { EXPECT_TRUE(select_instruction_set(name)) << name; }
  WithInstructionSet(const WithInstructionSet&) = delete;
  WithInstructionSet& operator=(const WithInstructionSet&) = delete;
  ~WithInstructionSet() { EXPECT_TRUE(select_instruction_set("")); }
};

}  // namespace parcompute::testing
