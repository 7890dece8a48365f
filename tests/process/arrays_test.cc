// Arrays through the client library and a real server: made, found, listed, viewed, removed.
#include <algorithm>
#include <complex>
#include <numeric>

#include <gmock/gmock.h>

#include "common/array/array_spec.h"
#include "proto/limits.h"
#include "tests/support/reference.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

class Arrays : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    start(2, 256 * kMebibyte, 0);
  }

  template <class T>
  void check_dtype() {
    auto session = connect();
    const std::string dtype(name(dtype_of<T>()));
    Array zeros = session.create("zeros", dtype_of<T>(), {3, 5});
    EXPECT_EQ(zeros.dtype(), dtype_of<T>());
    EXPECT_EQ(zeros.info().nbytes(), 15 * sizeof(T));
    EXPECT_THAT(zeros.view<T>(), Each(T{})) << dtype;

    Array ones = session.create_full("ones", scalar_of(T{1}), {300'000});
    EXPECT_THAT(ones.view<T>(), Each(T{1})) << dtype;

    const std::int64_t length = std::is_same_v<T, bool> ? 2 : 100;
    Array count = session.create_arange("count", dtype_of<T>(), {length});
    const auto counted = count.view<T>();
    for (std::size_t i = 0; i < counted.size(); ++i)
      EXPECT_EQ(counted[i], static_cast<T>(static_cast<unsigned char>(i))) << dtype;
    for (const char* made : {"zeros", "ones", "count"}) session.remove(made);
  }
};

TEST_F(Arrays, OfEveryDTypeAreMadeAsZerosOnesAndCounts) {
  check_dtype<bool>();
  check_dtype<std::int8_t>();
  check_dtype<std::int16_t>();
  check_dtype<std::int32_t>();
  check_dtype<std::int64_t>();
  check_dtype<std::uint8_t>();
  check_dtype<std::uint16_t>();
  check_dtype<std::uint32_t>();
  check_dtype<std::uint64_t>();
  check_dtype<float>();
  check_dtype<double>();
  check_dtype<std::complex<float>>();
  check_dtype<std::complex<double>>();
}

TEST_F(Arrays, WithoutDimensionsHoldOneElement) {
  auto session = connect();
  auto point = session.create("point", DType::kFloat64, {});
  ASSERT_EQ(point.size(), 1u);
  EXPECT_TRUE(point.shape().empty());
  point.view<double>()[0] = 2.5;
  EXPECT_EQ(session.submit(Reduce{.a = point}).wait().scalar->as<double>(), 2.5);
}

TEST_F(Arrays, WithoutElementsAreMadeFoundAndSummed) {
  auto session = connect();
  session.create("none", DType::kInt32, {3, 0, 5});
  auto none = session.find("none");
  EXPECT_THAT(none.shape(), ElementsAre(3, 0, 5));
  EXPECT_EQ(none.data(), nullptr);
  EXPECT_TRUE(none.view<std::int32_t>().empty());
  EXPECT_EQ(session.submit(Reduce{.a = none}).wait().scalar->as<std::int64_t>(), 0);
  expect_failure(
      [&] {
        session.submit(Reduce{Reduce::Op::kMin, none}).wait();
      },
      ErrorCode::kInvalidArgument, {"none", "no elements"});
}

TEST_F(Arrays, WrittenByOneSessionAreReadByAnother) {
  auto writer = connect();
  auto written = writer.create("shared", DType::kInt64, {1000});
  std::iota(written.view<std::int64_t>().begin(), written.view<std::int64_t>().end(), 0);

  auto reader = connect();
  auto found = reader.find("shared");
  EXPECT_EQ(found.info().id, written.info().id);
  EXPECT_TRUE(found.info().writable);
  const auto read = found.view<const std::int64_t>();
  EXPECT_TRUE(std::ranges::equal(read, written.view<const std::int64_t>()));
  // The same memory: what is written now is there at once.
  written.view<std::int64_t>()[7] = -1;
  EXPECT_EQ(read[7], -1);
}

TEST_F(Arrays, AreListedWithWhatTheyAre) {
  auto session = connect();
  session.create("a", DType::kFloat32, {2, 3});
  const auto anonymous = session.create("", DType::kUint8, {7});
  const auto all = session.list();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].name, "a");
  EXPECT_EQ(all[0].dtype, DType::kFloat32);
  EXPECT_THAT(all[0].shape, ElementsAre(2, 3));
  EXPECT_THAT(all[0].strides, ElementsAre(12, 4));
  EXPECT_EQ(all[0].owner_uid, ::geteuid());
  EXPECT_FALSE(all[0].incomplete);
  EXPECT_THAT(segments(), ::testing::UnorderedElementsAre(all[0].segment_name, all[1].segment_name));
  EXPECT_EQ(all[1].name, "");
  EXPECT_EQ(all[1].id, anonymous.info().id);
}

TEST_F(Arrays, RemovedOnesCannotBeFoundAndTheirNamesAreFree) {
  auto session = connect();
  session.create("a", DType::kFloat64, {10});
  session.remove("a");
  EXPECT_TRUE(session.list().empty());
  EXPECT_TRUE(segments().empty());
  expect_failure([&] { session.find("a"); }, ErrorCode::kNotFound, {"'a'"});
  expect_failure([&] { session.remove("a"); }, ErrorCode::kNotFound, {"'a'"});
  EXPECT_EQ(session.create("a", DType::kInt8, {3}).size(), 3u);
}

TEST_F(Arrays, RemovedOnesStayReadableWhereTheyAreMapped) {
  auto session = connect();
  auto array = session.create_arange("gone", DType::kInt64, {100'000});
  const auto view = array.view<const std::int64_t>();
  const std::uint64_t used = session.status().memory_used_bytes;
  session.remove("gone");
  EXPECT_LT(session.status().memory_used_bytes, used);
  EXPECT_TRUE(segments().empty());
  for (std::size_t i = 0; i < view.size(); ++i) ASSERT_EQ(view[i], static_cast<std::int64_t>(i));
}

TEST_F(Arrays, OneNameIsTakenOnce) {
  auto session = connect();
  auto other = connect();
  session.create("a", DType::kFloat64, {10});
  expect_failure([&] { other.create("a", DType::kFloat64, {10}); }, ErrorCode::kAlreadyExists, {"'a'", "rm"});
  SubmitOptions into_a;
  into_a.output = "a";
  expect_failure([&] { other.submit(Mandelbrot{.nx = 4, .ny = 4, .max_iter = 4}, into_a).wait(); },
                 ErrorCode::kAlreadyExists, {"'a'"});
  EXPECT_EQ(segments().size(), 1u);
  EXPECT_EQ(session.find("a").size(), 10u);
}

TEST_F(Arrays, NamesThatMeanFilesOrNothingAreRefused) {
  auto session = connect();
  for (const std::string& name : {std::string("a/b"), std::string("x.npy"), std::string("/"),
                                  std::string("new\nline"), std::string("bell\a"), std::string("delete\x7f"),
                                  std::string("nul\0l", 5), std::string(kMaxNameBytes + 1, 'n'), std::string("x[1]"), std::string("x.T"),
                                  std::string("x.reshape(5)")})
    expect_failure([&] { session.create(name, DType::kFloat64, {1}); }, ErrorCode::kInvalidArgument,
                   {"cannot name"});
  EXPECT_TRUE(session.list().empty());
}

TEST_F(Arrays, NamesMayBeLongAndInAnyLanguage) {
  auto session = connect();
  for (const std::string& name :
       {std::string(kMaxNameBytes, 'n'), std::string("größe λ 配列"), std::string("with space"),
        std::string("npy"), std::string(".npyx"), std::string("--help"), std::string("x.Tail"), std::string("v1.0")}) {
    session.create(name, DType::kFloat64, {1});
    EXPECT_EQ(session.find(name).name(), name);
  }
}

TEST_F(Arrays, RefusalOfAHugeNameFitsIntoAPacket) {
  auto session = connect();
  const std::string name(kMaxPacketBytes - 60, 'n');
  expect_failure([&] { session.create(name, DType::kFloat64, {1}); }, ErrorCode::kInvalidArgument,
                 {"cannot name"});
  expect_failure([&] { session.find(name); }, ErrorCode::kNotFound);
  expect_failure([&] { session.find(std::string(2 * kMaxPacketBytes, 'n')); }, ErrorCode::kInvalidArgument,
                 {"a message holds at most"});
  EXPECT_TRUE(session.list().empty());
}

TEST_F(Arrays, ANameThatIsNoUtf8IsRefusedAndCostsNobodyElse) {
  auto other = connect();
  auto session = connect();
  expect_failure([&] { session.create("\xff\xfe", DType::kFloat64, {1}); }, ErrorCode::kInvalidArgument,
                 {"UTF-8"});
  EXPECT_TRUE(other.list().empty());
  EXPECT_TRUE(session.list().empty());
}

TEST_F(Arrays, ShapesThatCannotBeAreRefused) {
  auto session = connect();
  expect_failure([&] { session.create("a", DType::kFloat64, {-1}); }, ErrorCode::kInvalidArgument);
  expect_failure([&] { session.create("a", DType::kFloat64, std::vector<std::int64_t>(kMaxDims + 1, 1)); },
                 ErrorCode::kInvalidArgument);
  const std::int64_t huge = std::int64_t{1} << 40;
  EXPECT_THROW(session.create("a", DType::kFloat64, {huge, huge}), Failure);
  EXPECT_EQ(session.create("a", DType::kInt8, std::vector<std::int64_t>(kMaxDims, 1)).size(), 1u);
}

TEST_F(Arrays, AnonymousOnesGoWithTheirLastHandle) {
  auto session = connect();
  {
    auto first = session.create("", DType::kFloat64, {100});
    const auto copy = first;
    first = Array();
    EXPECT_EQ(session.list().size(), 1u);
    EXPECT_EQ(copy.size(), 100u);
  }
  EXPECT_TRUE(session.list().empty());
  EXPECT_TRUE(segments().empty());
}

TEST_F(Arrays, AnonymousOnesGoWithTheirSession) {
  std::optional<Session> session = connect();
  auto anonymous = session->create_arange("", DType::kInt64, {1000});
  anonymous.view<const std::int64_t>();
  session->create("named", DType::kInt64, {1000});
  session.reset();
  until([&] { return status().arrays == 1; }, "the anonymous array is gone");
  EXPECT_EQ(segments().size(), 1u);
  EXPECT_EQ(connect().find("named").size(), 1000u);
  // What was mapped stays mapped.
  EXPECT_EQ(anonymous.view<const std::int64_t>()[999], 999);
}

TEST_F(Arrays, AnonymousOnesOfManyHandlesDoNotFillTheSocket) {
  auto session = connect();
  for (int i = 0; i < 2000; ++i) session.create("", DType::kUint8, {1});
  EXPECT_TRUE(session.list().empty());
}

TEST_F(Arrays, AreViewedAsTheirOwnElementTypeOnly) {
  auto session = connect();
  auto array = session.create("a", DType::kFloat64, {4});
  expect_failure([&] { array.view<float>(); }, ErrorCode::kInvalidArgument, {"'a'", "float32"});
  expect_failure([&] { array.view<std::int64_t>(); }, ErrorCode::kInvalidArgument, {"int64"});
  expect_failure([] { Array().data(); }, ErrorCode::kInvalidArgument, {"empty"});
  expect_failure([&] { session.submit(Reduce{}); }, ErrorCode::kInvalidArgument, {"empty"});
}

TEST_F(Arrays, BeginOnAPageWhateverTheirSize) {
  auto session = connect();
  for (const std::int64_t size : {1, 4096, 1'000'003, 3'000'000}) {
    auto array = session.create("", DType::kUint8, {size});
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(array.data()) % 4096, 0u) << size;
    array.view<std::uint8_t>()[static_cast<std::size_t>(size) - 1] = 1;
  }
}

}  // namespace
}  // namespace parcompute::testing
