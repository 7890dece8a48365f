// .npy files: imported by the workers, attached where they lie, exported whole.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "common/array/npy.h"
#include "tests/support/npy_bytes.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::Pointwise;

class NpyFiles : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    start();
  }

  std::string file(const std::string& name, const std::string& bytes) {
    write_file(directory() / name, bytes);
    return directory() / name;
  }

  static std::vector<double> counted(std::size_t count) {
    std::vector<double> values(count);
    std::iota(values.begin(), values.end(), 0.0);
    return values;
  }
  static std::string doubles(std::span<const double> values) { return raw_bytes(values); }
};

TEST_F(NpyFiles, OfAllThreeVersionsAreImported) {
  auto session = connect();
  const auto values = counted(6);
  for (const unsigned version : {1u, 2u, 3u}) {
    const auto path = file("v.npy", npy_file(version, "<f8", false, "(2, 3)", doubles(values)));
    auto array = session.import_npy(fmt::format("v{}", version), path);
    EXPECT_THAT(array.shape(), ElementsAre(2, 3));
    EXPECT_THAT(array.view<const double>(), Pointwise(Eq(), values));
  }
}

TEST_F(NpyFiles, LargerThanAChunkAreImportedToTheLastByte) {
  auto session = connect();
  const auto values = counted(1'500'001);
  const auto path = file("large.npy", npy_file(1, "<f8", false, "(1500001,)", doubles(values)));
  std::uint64_t last = 0;
  auto array = session.import_npy("large", path, [&](const JobInfo& info) {
    EXPECT_GE(info.blocks_done, last);
    last = info.blocks_done;
  });
  EXPECT_TRUE(std::ranges::equal(array.view<const double>(), values));
  // The file was an array for as long as it was read.
  EXPECT_EQ(session.list().size(), 1u);
}

TEST_F(NpyFiles, InFortranOrderKeepTheirOrder) {
  auto session = connect();
  const auto values = counted(6);  // columns (0 1) (2 3) (4 5)
  const auto path = file("f.npy", npy_file(1, "<f8", true, "(2, 3)", doubles(values)));
  for (auto array : {session.import_npy("imported", path), session.attach_npy("attached", path)}) {
    EXPECT_THAT(array.shape(), ElementsAre(2, 3));
    EXPECT_THAT(array.info().strides, ElementsAre(8, 16));
    const auto* element0 = reinterpret_cast<const double*>(std::as_const(array).data());
    EXPECT_EQ(element0[2], 2) << "element (0, 1)";
    EXPECT_EQ(session.submit(Reduce{.a = array}).wait().scalar->as<double>(), 15);
  }
}

TEST_F(NpyFiles, OfTheOtherByteOrderAreConvertedAndNotAttached) {
  auto session = connect();
  const std::vector<std::int32_t> values{1, -2, 300'000};
  std::vector<std::uint32_t> swapped;
  for (const std::int32_t value : values)
    swapped.push_back(__builtin_bswap32(std::bit_cast<std::uint32_t>(value)));
  const auto path = file("big.npy", npy_file(1, ">i4", false, "(3,)", raw_bytes<std::uint32_t>(swapped)));
  EXPECT_THAT(session.import_npy("big", path).view<const std::int32_t>(), Pointwise(Eq(), values));
  expect_failure([&] { session.attach_npy("attached", path); }, ErrorCode::kBadData,
                 {"big.npy", "byte order", "import"});
}

TEST_F(NpyFiles, OfFloat16BecomeFloat32AndAreNotAttached) {
  auto session = connect();
  const std::vector<std::uint16_t> halves{0x3c00, 0xc500, 0x0001};  // 1, -5, 2^-24
  const auto path = file("half.npy", npy_file(1, "<f2", false, "(3,)", raw_bytes<std::uint16_t>(halves)));
  EXPECT_THAT(session.import_npy("half", path).view<const float>(), ElementsAre(1.0F, -5.0F, 0x1p-24F));
  expect_failure([&] { session.attach_npy("attached", path); }, ErrorCode::kBadData,
                 {"half.npy", "float16", "parcompute-client array import"});
}

TEST_F(NpyFiles, WithoutDimensionsOrElementsAreImportedAndAttached) {
  auto session = connect();
  const auto point = file("point.npy", npy_file(1, "<f8", false, "()", doubles(std::vector{2.5})));
  EXPECT_THAT(session.import_npy("p", point).view<const double>(), ElementsAre(2.5));
  EXPECT_THAT(session.attach_npy("q", point).view<const double>(), ElementsAre(2.5));
  const auto none = file("none.npy", npy_file(1, "<f8", false, "(0, 4)", ""));
  for (auto array : {session.import_npy("n", none), session.attach_npy("o", none)}) {
    EXPECT_THAT(array.shape(), ElementsAre(0, 4));
    EXPECT_EQ(session.submit(Reduce{.a = array}).wait().scalar->as<double>(), 0);
  }
}

TEST_F(NpyFiles, AttachedForReadingCannotBeWrittenThroughTheView) {
  auto session = connect();
  const auto values = counted(5);
  const auto path = file("r.npy", npy_file(1, "<f8", false, "(5,)", doubles(values)));
  auto array = session.attach_npy("r", path);
  EXPECT_FALSE(array.info().writable);
  EXPECT_EQ(array.info().path, path);
  EXPECT_THAT(array.view<const double>(), Pointwise(Eq(), values));
  expect_failure([&] { array.view<double>(); }, ErrorCode::kInvalidArgument, {"read-only"});
  // Another session gets the file itself.
  auto other = connect();
  EXPECT_THAT(other.find("r").view<const double>(), Pointwise(Eq(), values));
  EXPECT_TRUE(segments().empty());
}

TEST_F(NpyFiles, AttachedForWritingAreWrittenInPlace) {
  auto session = connect();
  const auto header = npy_header(1, npy_dict("<f8", false, "(3,)"));
  const auto path = file("w.npy", header + doubles(std::vector{1.0, 2.0, 3.0}));
  auto array = session.attach_npy("w", path, true);
  array.view<double>()[1] = -7;
  auto found = connect().find("w");
  found.view<double>()[2] = -8;
  session.remove("w");
  EXPECT_EQ(read_file(path), header + doubles(std::vector{1.0, -7.0, -8.0}));
}

TEST_F(NpyFiles, OneFileIsOneArrayWhereItMayBeWritten) {
  auto session = connect();
  const auto path = file("one.npy", npy_file(1, "<f8", false, "(3,)", doubles(counted(3))));
  auto written = session.attach_npy("w", path, true);
  expect_failure([&] { session.attach_npy("again", path); }, ErrorCode::kAlreadyExists, {"'w'", "one.npy"});
  expect_failure([&] { session.attach_npy("again", path, true); }, ErrorCode::kAlreadyExists, {"'w'"});
  session.remove("w");
  written = {};
  // For reading as often as one likes.
  auto first = session.attach_npy("r", path), second = session.attach_npy("", path);
  expect_failure([&] { session.attach_npy("again", path, true); }, ErrorCode::kAlreadyExists, {"'r'"});
}

TEST_F(NpyFiles, AttachedOnesMayBeUnlinkedAndStayReadable) {
  auto session = connect();
  const auto path = file("u.npy", npy_file(1, "<f8", false, "(3,)", doubles(counted(3))));
  auto array = session.attach_npy("u", path);
  std::filesystem::remove(path);
  EXPECT_EQ(session.submit(Reduce{.a = array}).wait().scalar->as<double>(), 3);
}

TEST_F(NpyFiles, WithNamesThatAreNoUtf8AreAttachedAndImported) {
  auto session = connect();
  const auto path = file(
      "gr\xf6\xdf"
      "e.npy",
      npy_file(1, "<f8", false, "(3,)", doubles(counted(3))));
  EXPECT_EQ(session.submit(Reduce{.a = session.attach_npy("a", path)}).wait().scalar->as<double>(), 3);
  EXPECT_THAT(session.import_npy("b", path).view<const double>(), ElementsAre(0, 1, 2));
  EXPECT_EQ(session.list().size(), 2u);
}

TEST_F(NpyFiles, ExportedOnesAreWhatNumPyWrites) {
  auto session = connect();
  auto array = session.create_arange("a", DType::kFloat64, {2, 3});
  const std::string path = directory() / "a.npy";
  session.export_npy(array, path);
  EXPECT_EQ(read_file(path), npy_file(1, "<f8", false, "(2, 3)", doubles(counted(6))));
}

TEST_F(NpyFiles, ExportedAndImportedAgainAreTheSameBits) {
  auto session = connect();
  for (const DTypeInfo& row : kDTypes) {
    for (const std::vector<std::int64_t>& shape : {std::vector<std::int64_t>{}, {0}, {2}, {1, 1, 2}}) {
      auto array = session.create_arange("", row.dtype, shape);
      const std::string path = directory() / "round.npy";
      session.export_npy(array, path);
      auto again = session.import_npy("", path);
      EXPECT_EQ(again.dtype(), row.dtype);
      EXPECT_EQ(again.shape(), shape);
      if (array.size() > 0) {
        EXPECT_EQ(std::memcmp(array.data(), again.data(), array.info().nbytes()), 0) << row.name;
      }
    }
  }
}

TEST_F(NpyFiles, ExportKeepsFortranOrder) {
  auto session = connect();
  const std::string bytes = npy_file(1, "<f8", true, "(2, 3)", doubles(counted(6)));
  auto array = session.import_npy("f", file("f.npy", bytes));
  session.export_npy(array, directory() / "g.npy");
  EXPECT_EQ(read_file(directory() / "g.npy"), bytes);
}

TEST_F(NpyFiles, ExportThatCannotBeWrittenLeavesTheOldFile) {
  auto session = connect();
  auto array = session.create("a", DType::kFloat64, {3});
  expect_failure([&] { session.export_npy(array, directory() / "no/such/folder.npy"); },
                 ErrorCode::kCannotCreate, {"folder.npy"});
  std::filesystem::create_directory(directory() / "folder.npy");
  expect_failure([&] { session.export_npy(array, directory() / "folder.npy"); }, ErrorCode::kCannotCreate);
}

TEST_F(NpyFiles, ThatLieAreRefusedByNameAndLeaveNothingBehind) {
  auto session = connect();
  const std::string good = npy_file(1, "<f8", false, "(3,)", doubles(counted(3)));
  const std::string long_header = std::string("\x93NUMPY\x02\x00\xff\xff\xff\x7f", 12) + "{";
  const std::vector<std::string> hostile{
      "",
      "\x93NUM",
      "PK\x03\x04 this is a zip file",
      good.substr(0, 20),
      good.substr(0, good.size() - 1),
      long_header,
      npy_file(1, "|O", false, "(3,)", "abc"),
      npy_file(9, "<f8", false, "(3,)", doubles(counted(3))),
      npy_file(1, "<f8", false, "(-3,)", ""),
      npy_file(1, "<f8", false, "(4611686018427387904, 4611686018427387904)", ""),
      npy_file(1, "<f8", false, "(1000000000000,)", ""),
      npy_file(1, "<U5", false, "(3,)", doubles(counted(9))),
      npy_header(1, "{'descr': '<f8', 'fortran_order': False, }"),
      npy_header(1, "__import__('os').system('true')"),
  };
  for (std::size_t i = 0; i < hostile.size(); ++i) {
    const auto path = file("hostile.npy", hostile[i]);
    for (const bool attach : {false, true}) {
      try {
        if (attach) {
          session.attach_npy("h", path);
        } else {
          session.import_npy("h", path);
        }
        ADD_FAILURE() << "file " << i << " was taken";
      } catch (const Failure& failure) {
        EXPECT_THAT(failure.what(), ::testing::HasSubstr("hostile.npy")) << i;
        EXPECT_THAT(failure.code(), ::testing::AnyOf(ErrorCode::kBadData, ErrorCode::kUnsupported))
            << i << failure.what();
      }
    }
  }
  EXPECT_TRUE(session.list().empty());
  EXPECT_TRUE(segments().empty());
  EXPECT_EQ(session.import_npy("h", file("good.npy", good)).size(), 3u);
}

TEST_F(NpyFiles, ThatAreNoFilesAreRefused) {
  auto session = connect();
  expect_failure([&] { session.import_npy("a", directory() / "missing.npy"); }, ErrorCode::kNotFound,
                 {"missing.npy"});
  EXPECT_THROW(session.attach_npy("a", directory().path()), Failure);
  const std::string fifo = directory() / "fifo.npy";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THROW(session.attach_npy("a", fifo), Failure);
  EXPECT_THROW(session.import_npy("a", "/dev/zero"), Failure);
  EXPECT_TRUE(session.list().empty());
}

TEST_F(NpyFiles, CutShortByAnElementAreRefusedUntilTheyAreRestored) {
  auto session = connect();
  const auto path = file("t.npy", npy_file(1, "<f8", false, "(1000,)", doubles(counted(1000))));
  auto array = session.attach_npy("t", path, true);
  std::filesystem::resize_file(path, 128 + 8000 - 8);
  expect_failure([&] { session.submit(Reduce{.a = array}).wait(); }, ErrorCode::kBadData, {path, "'t'", "8128", "8120", "restore the file"});
  SubmitOptions in_place;
  in_place.into = array;
  expect_failure([&] { session.submit(session.evaluate("t + 1"), in_place).wait(); }, ErrorCode::kBadData, {path});
  auto found = session.find("t");
  expect_failure([&] { found.data(); }, ErrorCode::kBadData, {path, "8120"});
  std::filesystem::resize_file(path, 128 + 8000);
  EXPECT_EQ(found.view<const double>()[998], 998.0);
  EXPECT_EQ(session.submit(Reduce{.a = array}).wait().scalar->as<double>(), 999.0 * 998 / 2) << "the last element is a zero now";
  std::filesystem::resize_file(path, 20'000);
  session.submit(Reduce{.a = array}).wait();  // what lies behind the data is nobody's business
}

// The job is cut off at some moment: before its chunk, in it or behind it. Whatever it answers is the sum of the whole file.
TEST_F(NpyFiles, CutShortWhileAJobReadsThemAreNeverSummedWithoutTheirEnd) {
  auto session = connect();
  constexpr std::uint64_t kElements = 4'000'000;
  int failed = 0;
  for (int round = 0; round < 20; ++round) {
    const auto path = file("t.npy", npy_file(1, "<f8", false, "(4000000,)", doubles(std::vector<double>(kElements, 1.0))));
    auto array = session.attach_npy("t", path);
    SubmitOptions one_chunk;
    one_chunk.chunk_blocks = kElements;
    one_chunk.max_workers = 1;
    auto job = session.submit(session.evaluate("sum(t * exp(t) / exp(t))"), one_chunk);
    for (int turn = 0; turn < round; ++turn) status();  // each time a little later
    std::filesystem::resize_file(path, 128 + 8 * kElements - 8 * (1 + static_cast<std::uint64_t>(round)));
    try {
      EXPECT_EQ(job.wait().scalar->as<double>(), static_cast<double>(kElements));
    } catch (const Failure& failure) {
      ++failed;
      EXPECT_EQ(failure.code(), ErrorCode::kBadData);
      EXPECT_THAT(failure.what(), HasSubstr(path));
      EXPECT_THAT(failure.what(), HasSubstr("cut short"));
    }
    session.remove("t");
  }
  EXPECT_GT(failed, 0);
  EXPECT_EQ(replaced(), 0u);
}

TEST_F(NpyFiles, TruncatedWhileAttachedFailTheJobAndNothingElse) {
  auto session = connect();
  const auto path = file("t.npy", npy_file(1, "<f8", false, "(1000000,)", doubles(counted(1'000'000))));
  auto array = session.attach_npy("t", path);
  freeze_workers();
  auto job = session.submit(Reduce{.a = array});
  std::filesystem::resize_file(path, 128);
  thaw_workers();
  expect_failure([&] { job.wait(); }, ErrorCode::kBadData, {path, "cut short"});
  // The pool is whole, and the next job is right.
  const auto workers = pool_is_whole().workers;
  EXPECT_EQ(workers.size(), 2u);
  auto count = session.create_arange("c", DType::kInt64, {100'000});
  EXPECT_EQ(session.submit(Reduce{.a = count}).wait().scalar->as<std::int64_t>(), 4'999'950'000);
}

}  // namespace
}  // namespace parcompute::testing
