#include <google/protobuf/message_lite.h>
#include <gtest/gtest.h>

#include "common/operation/operation.h"
#include "worker/kernels/kernel.h"

namespace parcompute {
namespace {

TEST(KernelRegistry, HasARowForEveryOperationInTheSameOrder) {
  ASSERT_EQ(kernels().size(), operations().size());
  for (std::size_t i = 0; i < kernels().size(); ++i) {
    EXPECT_EQ(kernels()[i].kind, operations()[i].kind) << operations()[i].name;
    EXPECT_NE(kernels()[i].make, nullptr) << operations()[i].name;
  }
}

// The oneof's fields are numbered 1, 2, ... in the order of the rows.
TEST(OperationRegistry, HasARowForEveryFieldOfTheProtoInOrder) {
  int number = 0;
  for (const OperationRow& row : operations()) {
    EXPECT_EQ(static_cast<int>(row.kind), ++number) << row.name;
    EXPECT_EQ(find_operation(row.kind), &row);
  }
  EXPECT_EQ(number, wire::Operation::kPercentileFieldNumber) << "the proto's last operation has no row";
}

TEST(OperationRegistry, OperationsHaveTheWordsOfTheirCommands) {
  wire::Operation operation;
  operation.mutable_scan()->set_op(wire::Scan::SUM);
  EXPECT_EQ(operation_word(operation), "cumsum");
  operation.mutable_scan()->set_op(wire::Scan::PROD);
  EXPECT_EQ(operation_word(operation), "cumprod");
  operation.mutable_concatenate();
  EXPECT_EQ(operation_word(operation), "concatenate");
  operation.mutable_concatenate()->set_stack(true);
  EXPECT_EQ(operation_word(operation), "stack");
  operation.mutable_evaluate();
  EXPECT_EQ(operation_word(operation), "expr");
}

TEST(OperationRegistry, RefusesAnOperationWithoutAKindAndAWrongNumberOfOperands) {
  wire::Operation operation;
  EXPECT_EQ(plan_operation(operation, {}).error().code, ErrorCode::kUnsupported);
  operation.mutable_matmul();
  const auto plan = plan_operation(operation, {});
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().message, "matmul takes 2 operands, not 0");
}

TEST(OperationRegistry, NopHasBlocksAndNothingElse) {
  wire::Operation operation;
  operation.mutable_nop()->set_blocks(1000);
  const auto plan = plan_operation(operation, {});
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->phases.size(), 1U);
  EXPECT_EQ(plan->phases[0].blocks, 1000U);
  EXPECT_FALSE(plan->output || plan->scalar);
  operation.mutable_nop()->set_blocks(0);
  EXPECT_TRUE(plan_operation(operation, {})->phases.empty());
}

}  // namespace
}  // namespace parcompute
