// compress and take: refusals, lengths, and pages given back.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/operation/order_plan.h"
#include "tests/support/kernel_runner.h"
#include "worker/kernels/pages.h"

namespace parcompute {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Operand;
using testing::operand_of;
using testing::run_job;

wire::Operation compress() {
  wire::Operation operation;
  operation.mutable_compress();
  return operation;
}
wire::Operation take(std::optional<std::int32_t> axis = std::nullopt) {
  wire::Operation operation;
  operation.mutable_take();
  if (axis) operation.mutable_take()->set_axis(*axis);
  return operation;
}

std::string refusal(const wire::Operation& operation, Operand& a, Operand& b) {
  const auto outcome = run_job(operation, {a.view(), b.view()});
  return outcome ? "it was served" : outcome.error().message;
}

Operand mask_of(const std::vector<std::uint8_t>& bytes, Dims shape) {
  Operand mask = operand_of(bytes, std::move(shape));
  mask.spec.dtype = DType::kBool;
  mask.label = "mask";
  return mask;
}

TEST(Compress, AnyByteButZeroChooses) {
  Operand a = operand_of<std::int32_t>({1, 2, 3, 4}, {4}), mask = mask_of({0, 1, 255, 0}, {4});
  const auto outcome = run_job(compress(), {a.view(), mask.view()});
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->plan.answers_length);
  EXPECT_EQ(outcome->scalar_as<std::uint64_t>(), 2U);
  const auto all = outcome->output_as<std::int32_t>();
  EXPECT_THAT(std::vector(all.begin(), all.begin() + 2), ElementsAre(2, 3));
}

TEST(Compress, TellsTheLengthOfRowsWithoutElements) {
  Operand a = operand_of<double>({}, {3, 0}), mask = mask_of({1, 0, 1}, {3});
  const auto outcome = run_job(compress(), {a.view(), mask.view()});
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->scalar_as<std::uint64_t>(), 2U);
}

TEST(Compress, RefusesMasksThatDoNotFit) {
  Operand a = operand_of<double>({1, 2}, {2});
  Operand numbers = operand_of<double>({1, 0}, {2});
  Operand longer = mask_of({1, 0, 1}, {3}), single = mask_of({1}, {});
  EXPECT_THAT(refusal(compress(), a, numbers), HasSubstr("the mask's dtype must be bool"));
  EXPECT_EQ(
      refusal(compress(), a, longer),
      "compress of 'a' (float64, 2) by 'mask' (bool, 3): the mask's shape must be that of the array, or of its first "
      "dimensions");
  EXPECT_THAT(refusal(compress(), a, single), HasSubstr("the mask's shape"));
}

TEST(Compress, GivesBackTheWholePagesBehindTheResult) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t pages = 64;
  const int fd = ::memfd_create("output", MFD_CLOEXEC);
  ASSERT_GE(fd, 0);
  // A header page, the array, and a page's rest that no element fills.
  ASSERT_EQ(::posix_fallocate(fd, 0, static_cast<off_t>((pages + 1) * page)), 0);
  const auto blocks = [fd] {
    struct stat status {};
    EXPECT_EQ(::fstat(fd, &status), 0);
    return static_cast<std::size_t>(status.st_blocks) * 512;
  };
  ASSERT_EQ(blocks(), (pages + 1) * page);
  const View output{*make_spec(DType::kUint8, {static_cast<std::int64_t>(pages * page - 10)}), "out", nullptr, fd,
                    page};
  free_pages_behind(output, pages * page - 10);
  EXPECT_EQ(blocks(), (pages + 1) * page);
  free_pages_behind(output, 10 * page + 1);
  EXPECT_EQ(blocks(), 12 * page);
  free_pages_behind(output, 0);
  EXPECT_EQ(blocks(), page);
  ::close(fd);
}

TEST(Take, NamesTheIndexThatIsOutOfBoundsAndItsPlace) {
  Operand a = operand_of<double>({1, 2, 3, 4, 5, 6}, {2, 3});
  Operand indices = operand_of<std::int64_t>({0, -1, 3}, {3});
  indices.label = "i";
  EXPECT_EQ(refusal(take(1), a, indices),
            "take from 'a' (float64, 2x3) at 'i' (int64, 3): index 3 (element 2 in C order) is out of bounds; axis 1 "
            "takes -3 to 2");
  Operand low = operand_of<std::int8_t>({-7}, {1});
  EXPECT_THAT(refusal(take(), a, low),
              HasSubstr("index -7 (element 0 in C order) is out of bounds; the flat array takes -6 to 5"));
  Operand huge = operand_of<std::uint64_t>({std::uint64_t{1} << 63}, {1});
  EXPECT_THAT(refusal(take(), a, huge), HasSubstr("is out of bounds"));
}

TEST(Take, RefusesIndicesThatAreNoIntegersAndAnEmptyArray) {
  Operand a = operand_of<double>({1, 2}, {2}), none = operand_of<double>({}, {0});
  Operand numbers = operand_of<double>({0}, {1}), zero = operand_of<std::int64_t>({0}, {1});
  EXPECT_THAT(refusal(take(), a, numbers), HasSubstr("indices are integers; cast them"));
  EXPECT_THAT(refusal(take(), none, zero), HasSubstr("there is nothing to take from"));
  EXPECT_THAT(refusal(take(1), a, zero), HasSubstr("its axes are -1 to 0"));
}

}  // namespace
}  // namespace parcompute
