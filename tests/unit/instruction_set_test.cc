#include "worker/kernels/instruction_set.h"

#include <algorithm>
#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace parcompute {
namespace {

class InstructionSet : public ::testing::Test {
 protected:
  void TearDown() override {
    ::unsetenv("PARCOMPUTE_ISA");
    EXPECT_TRUE(select_instruction_set(""));
  }
};

TEST_F(InstructionSet, EachAvailableOneCanBeChosen) {
  const auto names = available_instruction_sets();
  ASSERT_FALSE(names.empty());
  for (const std::string_view name : names) {
    ASSERT_TRUE(select_instruction_set(name));
    EXPECT_EQ(current_instruction_set(), name);
    EXPECT_EQ(available_instruction_sets(), names);
  }
  ASSERT_TRUE(select_instruction_set(""));
  EXPECT_EQ(current_instruction_set(), names.back());
}

TEST_F(InstructionSet, EnvironmentChooses) {
  const std::string slowest(available_instruction_sets().front());
  ::setenv("PARCOMPUTE_ISA", slowest.c_str(), 1);
  ASSERT_TRUE(select_instruction_set());
  EXPECT_EQ(current_instruction_set(), slowest);
  ::unsetenv("PARCOMPUTE_ISA");
  ASSERT_TRUE(select_instruction_set());
  EXPECT_EQ(current_instruction_set(), available_instruction_sets().back());
}

TEST_F(InstructionSet, UnknownNameIsRefusedWithTheKnownOnes) {
  ::setenv("PARCOMPUTE_ISA", "avx9", 1);
  const auto chosen = select_instruction_set();
  ASSERT_FALSE(chosen);
  EXPECT_EQ(chosen.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(chosen.error().message, ::testing::HasSubstr("'avx9'"));
  EXPECT_THAT(chosen.error().message,
              ::testing::HasSubstr(std::string(available_instruction_sets().front())));
}

}  // namespace
}  // namespace parcompute
