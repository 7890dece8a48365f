// matmul against exact products of small integers (whose sums no order of additions can change), for every
// layout that an operand can have.
#include <sys/mman.h>

#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/operation/products_plan.h"
#include "tests/support/kernel_runner.h"
#include "worker/kernels/blas.h"

namespace parcompute {
namespace {

using testing::Buffer;
using ::testing::HasSubstr;
using testing::Operand;
using testing::operand_of;
using testing::run_job;

wire::Operation matmul() {
  wire::Operation operation;
  operation.mutable_matmul();
  return operation;
}

class Matmul : public ::testing::Test {};

// Ways in which a matrix of the last two axes can lie.
enum class Layout {
  kRows,
  kColumns,
  kSpacedRows,
  kSpacedElements,
  kReversedRows,
  kReversedColumns,
  kOdd,
  kPermuted
};
constexpr std::array kLayouts{
    Layout::kRows,         Layout::kColumns,         Layout::kSpacedRows, Layout::kSpacedElements,
    Layout::kReversedRows, Layout::kReversedColumns, Layout::kOdd,        Layout::kPermuted};

// An operand of shape stack + (rows, columns) in that layout; element i in C order is value(i).
template <class T, class Value>
Operand laid_out(Layout layout, Dims stack, std::int64_t rows, std::int64_t columns, Value value) {
  constexpr auto kSize = static_cast<std::int64_t>(sizeof(T));
  Dims shape = stack;
  shape.push_back(rows);
  shape.push_back(columns);
  Operand operand{*make_spec(dtype_of<T>(), shape), Buffer(), ""};
  std::int64_t row = columns * kSize, column = kSize, matrix = rows * columns * kSize, offset = 0;
  switch (layout) {
    case Layout::kRows:
      break;
    case Layout::kColumns:
      row = kSize, column = rows * kSize;
      break;
    case Layout::kSpacedRows:
      row = (columns + 3) * kSize, matrix = rows * row;
      break;
    case Layout::kSpacedElements:
      column = 2 * kSize, row = columns * column, matrix = rows * row;
      break;
    case Layout::kReversedRows:
      offset = (rows - 1) * row, row = -row;
      break;
    case Layout::kReversedColumns:
      offset = (columns - 1) * column, column = -column;
      break;
    case Layout::kOdd:
      offset = 1;
      break;
    case Layout::kPermuted:
      break;
  }
  std::int64_t count = 1;
  for (const std::int64_t dim : stack) count *= dim;
  // Permuted: the stack is the innermost axis, as after a moveaxis.
  if (layout == Layout::kPermuted) column = count * kSize, row = columns * column, matrix = kSize;
  operand.spec.offset = static_cast<std::uint64_t>(offset);
  const std::size_t ndim = shape.size();
  operand.spec.strides[ndim - 1] = column;
  operand.spec.strides[ndim - 2] = row;
  for (std::size_t axis = ndim - 2; axis-- > 0; matrix *= shape[axis + 1 - 1])
    operand.spec.strides[axis] = matrix;
  operand.buffer = Buffer(static_cast<std::size_t>(2 * (count * (rows + 1) * (columns + 4) + 4) * kSize));
  EXPECT_TRUE(check_spec(operand.spec, operand.buffer.size()));

  for (std::int64_t i = 0; i < count * rows * columns; ++i) {
    std::int64_t rest = i;
    std::int64_t at = offset;
    for (std::size_t axis = ndim; axis-- > 0; rest /= shape[axis])
      at += rest % shape[axis] * operand.spec.strides[axis];
    const T x = value(i);
    std::memcpy(operand.buffer.data() + at, &x, sizeof x);
  }
  return operand;
}

template <class T>
T small_integer(std::int64_t i) {
  return static_cast<T>((i * 7919 + 13) % 17 - 8);
}

// The product of two stacks of the same shape, whose element i in C order is small_integer(i).
template <class T>
std::vector<T> exact_product(std::int64_t batch, std::int64_t m, std::int64_t k, std::int64_t n) {
  std::vector<T> c;
  for (std::int64_t p = 0; p < batch; ++p)
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t j = 0; j < n; ++j) {
        T sum = 0;
        for (std::int64_t l = 0; l < k; ++l)
          sum += small_integer<T>((p * m + i) * k + l) * small_integer<T>((p * k + l) * n + j);
        c.push_back(sum);
      }
  return c;
}

template <class T>
void expect_exact_in_all_layouts(const Dims& stack, std::int64_t m, std::int64_t k, std::int64_t n) {
  std::int64_t batch = 1;
  for (const std::int64_t dim : stack) batch *= dim;
  const std::vector<T> wanted = exact_product<T>(batch, m, k, n);
  std::uint32_t seed = 0;
  for (const Layout left : kLayouts)
    for (const Layout right : kLayouts) {
      Operand a = laid_out<T>(left, stack, m, k, small_integer<T>);
      Operand b = laid_out<T>(right, stack, k, n, small_integer<T>);
      const auto outcome = run_job(matmul(), {a.view(), b.view()}, {.seed = seed++});
      ASSERT_TRUE(outcome) << outcome.error().message;
      EXPECT_EQ(outcome->template output_as<T>(), wanted) << fmt::format(
          "{}x{}x{}, layouts {} and {}", m, k, n, static_cast<int>(left), static_cast<int>(right));
    }
}

TEST_F(Matmul, IsExactInAllLayouts) {
  expect_exact_in_all_layouts<double>({}, 5, 7, 3);
  expect_exact_in_all_layouts<float>({}, 5, 7, 3);
  expect_exact_in_all_layouts<double>({2, 3}, 4, 6, 5);
  expect_exact_in_all_layouts<float>({40}, 9, 2, 11);
  for (const std::int64_t one : {0, 1, 2}) {
    expect_exact_in_all_layouts<double>({2}, one == 0 ? 1 : 4, one == 1 ? 1 : 4, one == 2 ? 1 : 4);
  }
  expect_exact_in_all_layouts<double>({}, 1, 1, 1);
}

TEST_F(Matmul, IsExactAcrossTilesAndSlices) {
  const MatmulTiling tiling = tile_products(1, 300, 40, 500, DType::kFloat64);
  ASSERT_GT(tiling.tiles_m, 1U);
  ASSERT_GT(tiling.tiles_n, 1U);
  expect_exact_in_all_layouts<double>({}, 300, 40, 500);
  expect_exact_in_all_layouts<float>({}, 70, 2100, 5);  // more than two packed slices
}

TEST_F(Matmul, StacksBroadcastAsNumPys) {
  // (2, 1, 3, 4) by (5, 4, 2): a result of (2, 5, 3, 2)
  std::vector<double> left(24), right(40);
  for (std::size_t i = 0; i < left.size(); ++i) left[i] = small_integer<double>(static_cast<std::int64_t>(i));
  for (std::size_t i = 0; i < right.size(); ++i)
    right[i] = small_integer<double>(static_cast<std::int64_t>(3 * i));
  Operand a = operand_of(left, {2, 1, 3, 4}), b = operand_of(right, {5, 4, 2});
  std::vector<double> wanted;
  for (std::size_t p = 0; p < 2; ++p)
    for (std::size_t q = 0; q < 5; ++q)
      for (std::size_t i = 0; i < 3; ++i)
        for (std::size_t j = 0; j < 2; ++j) {
          double sum = 0;
          for (std::size_t l = 0; l < 4; ++l) sum += left[(p * 3 + i) * 4 + l] * right[(q * 4 + l) * 2 + j];
          wanted.push_back(sum);
        }
  const auto outcome = run_job(matmul(), {a.view(), b.view()}, {.seed = 2});
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->plan.output->shape, (Dims{2, 5, 3, 2}));
  EXPECT_EQ(outcome->output_as<double>(), wanted);
}

TEST_F(Matmul, BroadcastMatrixWithoutStridesIsPacked) {
  Operand a = operand_of(std::vector<double>{3}, {1});
  a.spec.shape = {50, 2000};
  a.spec.strides = {0, 0};
  Operand b = operand_of(std::vector<double>(2000 * 3, 2), {2000, 3});
  const auto outcome = run_job(matmul(), {a.view(), b.view()});
  EXPECT_EQ(outcome->output_as<double>(), std::vector<double>(150, 12000));
}

TEST_F(Matmul, OverlappingRowsAreRead) {
  // A sliding window: row i begins at element i.
  std::vector<double> line(40);
  for (std::size_t i = 0; i < line.size(); ++i) line[i] = static_cast<double>(i);
  Operand a = operand_of(line, {40});
  a.spec.shape = {30, 10};
  a.spec.strides = {8, 8};
  Operand b = operand_of(std::vector<double>(10, 1), {10, 1});
  std::vector<double> wanted;
  for (int i = 0; i < 30; ++i) wanted.push_back(10 * i + 45);
  EXPECT_EQ(run_job(matmul(), {a.view(), b.view()})->output_as<double>(), wanted);
}

TEST_F(Matmul, EmptyDimensionsNeverReachBlas) {
  Operand none = operand_of(std::vector<double>{}, {3, 0}),
          also_none = operand_of(std::vector<double>{}, {0, 4});
  EXPECT_EQ(run_job(matmul(), {none.view(), also_none.view()})->output_as<double>(),
            std::vector<double>(12, 0));
  Operand eight = operand_of(std::vector<double>(8), {4, 2});
  const auto outcome = run_job(matmul(), {also_none.view(), eight.view()});
  EXPECT_TRUE(outcome->plan.phases.empty());
  EXPECT_EQ(outcome->plan.output->shape, (Dims{0, 2}));
  Operand no_stack = operand_of(std::vector<float>{}, {0, 3, 4}),
          one = operand_of(std::vector<float>(20), {4, 5});
  const auto stack = run_job(matmul(), {no_stack.view(), one.view()});
  EXPECT_TRUE(stack->plan.phases.empty());
  EXPECT_EQ(stack->plan.output->shape, (Dims{0, 3, 5}));
}

TEST_F(Matmul, NaNStaysInItsRowAndWhatStoodThereIsNotRead) {
  // The output is poisoned with bytes that are no number (see KernelRunner).
  for (const std::int64_t size : {3, 40, 200}) {
    std::vector<double> elements(static_cast<std::size_t>(size * size), 1);
    elements[0] = std::numeric_limits<double>::quiet_NaN();
    Operand a = operand_of(elements, {size, size});
    Operand b = operand_of(std::vector<double>(static_cast<std::size_t>(size * size), 0), {size, size});
    const auto c = run_job(matmul(), {a.view(), b.view()})->output_as<double>();
    for (std::size_t i = 0; i < c.size(); ++i)
      EXPECT_EQ(std::isnan(c[i]), i < static_cast<std::size_t>(size)) << size;
  }
}

TEST_F(Matmul, SameBitsHoweverBlocksAreRun) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<double> left(400 * 300), right(300 * 500);
  for (double& x : left) x = uniform(random);
  for (double& x : right) x = uniform(random);
  Operand a = operand_of(left, {400, 300}), b = operand_of(right, {300, 500});
  const auto wanted = run_job(matmul(), {a.view(), b.view()})->output_as<double>();
  for (std::uint32_t seed = 1; seed < 6; ++seed)
    EXPECT_EQ(run_job(matmul(), {a.view(), b.view()}, {.seed = seed})->output_as<double>(), wanted);
}

// Rows further apart than BLAS's 32 bits count, in memory that is only reserved.
TEST_F(Matmul, RowsBeyondThe32BitLimitArePacked) {
  constexpr std::int64_t kRowBytes = std::int64_t{3}
                                     << 33;  // 3 * 2^30 * 8 bytes: a leading dimension of 3 * 2^30
  const std::size_t bytes = static_cast<std::size_t>(2 * kRowBytes);
  void* memory =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) GTEST_SKIP() << "this machine does not reserve 48 GiB of addresses";
  auto* data = static_cast<std::byte*>(memory);
  const auto put = [&](std::int64_t row, std::int64_t column, double x) {
    std::memcpy(data + row * kRowBytes + column * 8, &x, 8);
  };
  put(0, 0, 1), put(0, 1, 2), put(1, 0, 3), put(1, 1, 4);
  const View a{{DType::kFloat64, {2, 2}, {kRowBytes, 8}, 0}, "a", data, -1, 0};
  Operand b = operand_of(std::vector<double>{5, 6, 7, 8}, {2, 2});
  EXPECT_EQ(run_job(matmul(), {a, b.view()})->output_as<double>(), (std::vector<double>{19, 22, 43, 50}));
  ::munmap(memory, bytes);
}

void expect_refused(const Operand& a, const Operand& b, ErrorCode code, const std::string& words) {
  const std::array<OperandInfo, 2> inputs{{{a.spec, "a"}, {b.spec, "b"}}};
  const auto plan = plan_operation(matmul(), inputs);
  ASSERT_FALSE(plan) << words;
  EXPECT_EQ(plan.error().code, code);
  EXPECT_EQ(plan.error().message, words);
}

TEST_F(Matmul, RefusalsNameBothOperandsAndTheReason) {
  const auto operand = [](DType dtype, Dims shape) {
    return Operand{*make_spec(dtype, std::move(shape)), Buffer(), ""};
  };
  expect_refused(operand(DType::kFloat64, {2000, 2000}), operand(DType::kFloat64, {1999, 2000}),
                 ErrorCode::kInvalidArgument,
                 "'a' (float64, 2000x2000) does not match 'b' (float64, 1999x2000) for matmul: inner "
                 "dimensions 2000 and "
                 "1999");
  expect_refused(operand(DType::kFloat64, {3, 2, 2}), operand(DType::kFloat64, {4, 2, 2}),
                 ErrorCode::kInvalidArgument,
                 "'a' (float64, 3x2x2) does not match 'b' (float64, 4x2x2) for matmul: stack dimensions 3 "
                 "and 4 (axis 0)");
  expect_refused(operand(DType::kInt32, {2, 2}), operand(DType::kFloat64, {3}), ErrorCode::kInvalidArgument,
                 "'a' (int32, 2x2) does not match 'b' (float64, 3) for matmul: inner dimensions 2 and 3");
  expect_refused(operand(DType::kFloat64, {2, 2}), operand(DType::kFloat64, {}), ErrorCode::kInvalidArgument,
                 "'b' (float64, ()) has no dimensions; matmul takes 1 or more");
}

TEST(MatmulTiling, CoversEveryProductOnce) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 2000; ++round) {
    const auto side = [&] {
      return static_cast<std::int64_t>(std::exp(static_cast<double>(random() % 1400) / 100));
    };
    const std::uint64_t batch = 1 + random() % 300;
    const std::int64_t m = side(), k = side(), n = side();
    const MatmulTiling tiling =
        tile_products(batch, m, k, n, round % 2 == 0 ? DType::kFloat64 : DType::kFloat32);
    SCOPED_TRACE(fmt::format("{} of {}x{}x{}", batch, m, k, n));
    ASSERT_EQ(tiling.tiles_m, (static_cast<std::uint64_t>(m + tiling.tile_m - 1)) /
                                  static_cast<std::uint64_t>(tiling.tile_m));
    ASSERT_EQ(tiling.tiles_n, (static_cast<std::uint64_t>(n + tiling.tile_n - 1)) /
                                  static_cast<std::uint64_t>(tiling.tile_n));
    ASSERT_GE(tiling.products_per_block, 1U);
    ASSERT_TRUE(tiling.products_per_block == 1 || tiling.tiles() == 1);
    ASSERT_GE(tiling.blocks() * tiling.products_per_block, batch * tiling.tiles());
    ASSERT_GT(tiling.block_ns, 0);
  }
}

TEST(MatmulTiling, LargeProductsSpreadAndSmallOnesShareBlocks) {
  EXPECT_GE(tile_products(1, 6000, 6000, 6000, DType::kFloat64).blocks(), 60U);
  EXPECT_GE(tile_products(20, 2000, 2000, 2000, DType::kFloat64).blocks(), 40U);
  EXPECT_EQ(tile_products(100, 2000, 2000, 2000, DType::kFloat64).blocks(), 100U);
  EXPECT_LT(tile_products(1, 20'000, 20'000, 20'000, DType::kFloat64).block_ns, 1.1e9);
}

}  // namespace
}  // namespace parcompute
