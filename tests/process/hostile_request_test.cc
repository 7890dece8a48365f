// Requests that are well-formed and make no sense: refused with words, without a trace.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "common/base/error.h"
#include "proto/limits.h"
#include "tests/support/raw_client.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

constexpr std::uint64_t kAll = ~std::uint64_t{0};

class HostileRequest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    start(2, 16 * kMebibyte, 0);
    witness_.emplace(connect("witness"));
    client_.emplace(socket());
    client_->greet();
    server_pid_ = pool_is_whole().server_pid;
    descriptors_ = descriptors_of(server_pid_);
  }
  void TearDown() override {
    EXPECT_EQ(witness_->status().server_pid, server_pid_);
    EXPECT_EQ(witness_->status().memory_used_bytes, 0u);
    EXPECT_TRUE(witness_->list().empty());
    EXPECT_TRUE(segments().empty());
    until([&] { return descriptors_of(server_pid_) == descriptors_; }, "what was sent is closed");
    EXPECT_EQ(replaced(), 0u);
    client_.reset();
    witness_.reset();
    ServerTest::TearDown();
  }

  void refused(const wire::Request& request, ErrorCode code, std::span<const int> fds = {}) {
    const auto reply = client_->ask(request, fds);
    ASSERT_TRUE(reply) << "the session was closed";
    ASSERT_TRUE(reply->has_failed()) << "request " << request.id() << " was served";
    EXPECT_EQ(reply->failed().code(), static_cast<std::uint32_t>(code)) << reply->failed().message();
    EXPECT_FALSE(reply->failed().message().empty());
    EXPECT_EQ(reply->request_id(), request.id());
  }

  wire::Request submit() {
    wire::Request made = request(++last_id_);
    made.mutable_submit_job();
    return made;
  }

  // A file of 100 bytes, as an array of 10 float64.
  wire::Request attach() {
    wire::Request made = request(++last_id_);
    wire::AttachArray& attach = *made.mutable_attach_array();
    attach.mutable_spec()->set_dtype(static_cast<std::uint32_t>(DType::kFloat64));
    attach.mutable_spec()->add_shape(10);
    attach.mutable_spec()->add_strides(8);
    attach.set_data_offset(16);
    attach.set_path("/a/file");
    return made;
  }

  std::optional<Session> witness_;
  std::optional<RawClient> client_;
  std::uint64_t last_id_ = 10;
  pid_t server_pid_ = 0;
  std::size_t descriptors_ = 0;
};

TEST_F(HostileRequest, OfNoOrUnknownOperationIsRefused) {
  refused(submit(), ErrorCode::kUnsupported);
  auto scan = submit();
  scan.mutable_submit_job()->mutable_operation()->mutable_scan();
  refused(scan, ErrorCode::kInvalidArgument);
}

TEST_F(HostileRequest, OfTooManyOrMissingOperandsIsRefused) {
  auto many = submit();
  many.mutable_submit_job()->mutable_operation()->mutable_matmul();
  for (std::size_t i = 0; i <= kMaxInputs; ++i) many.mutable_submit_job()->add_inputs()->set_name("a");
  refused(many, ErrorCode::kInvalidArgument);
  auto unknown = submit();
  unknown.mutable_submit_job()->mutable_operation()->mutable_unique();
  unknown.mutable_submit_job()->add_inputs();
  refused(unknown, ErrorCode::kNotFound);
  unknown.mutable_submit_job()->mutable_inputs(0)->set_id(kAll);
  refused(unknown, ErrorCode::kNotFound);
}

TEST_F(HostileRequest, OfGridsBeyondAllMemoryIsRefused) {
  for (const auto& [nx, ny] : {std::pair{kAll, kAll},
                               {std::uint64_t{1} << 31, std::uint64_t{1} << 31},
                               {kAll, std::uint64_t{1}},
                               {std::uint64_t{1} << 62, std::uint64_t{2}}}) {
    auto grid = submit();
    grid.mutable_submit_job()->set_anonymous_output(true);
    auto& mandelbrot = *grid.mutable_submit_job()->mutable_operation()->mutable_mandelbrot();
    mandelbrot.set_nx(nx);
    mandelbrot.set_ny(ny);
    const auto reply = client_->ask(grid);
    ASSERT_TRUE(reply && reply->has_failed()) << nx << " x " << ny;
  }
}

TEST_F(HostileRequest, OfMoreBlocksThanMayBeIsRefused) {
  auto nop = submit();
  nop.mutable_submit_job()->mutable_operation()->mutable_nop()->set_blocks(kAll);
  const auto reply = client_->ask(nop);
  EXPECT_TRUE(reply && reply->has_failed());
}

TEST_F(HostileRequest, OfAbsurdChunksAndWorkersIsServed) {
  auto nop = submit();
  nop.mutable_submit_job()->mutable_operation()->mutable_nop()->set_blocks(1000);
  nop.mutable_submit_job()->set_chunk_blocks(kAll);
  nop.mutable_submit_job()->set_max_workers(~std::uint32_t{0});
  const auto reply = client_->ask(nop);
  ASSERT_TRUE(reply && reply->has_job_ended());
  EXPECT_EQ(reply->job_ended().job().state(), wire::JobInfo::DONE);
}

TEST_F(HostileRequest, ToFillWithHalfAnElementOrAStrangeShapeIsRefused) {
  auto fill = submit();
  fill.mutable_submit_job()->set_anonymous_output(true);
  auto& wanted = *fill.mutable_submit_job()->mutable_operation()->mutable_fill();
  wanted.set_how(wire::Fill::VALUE);
  wanted.set_value("abc");
  auto& spec = *wanted.mutable_spec();
  spec.set_dtype(static_cast<std::uint32_t>(DType::kFloat64));
  spec.add_shape(4);
  refused(fill, ErrorCode::kInvalidArgument);
  wanted.set_how(wire::Fill::ZEROS);
  for (const std::uint32_t dtype : {0u, 14u, ~0u}) {
    spec.set_dtype(dtype);
    const auto reply = client_->ask(fill);
    EXPECT_TRUE(reply && reply->has_failed()) << dtype;
  }
  spec.set_dtype(static_cast<std::uint32_t>(DType::kFloat64));
  for (const std::int64_t stride :
       {std::int64_t{0}, std::int64_t{-8}, std::int64_t{4}, INT64_MAX, INT64_MIN}) {
    spec.clear_strides();
    spec.add_strides(stride);
    const auto reply = client_->ask(fill);
    EXPECT_TRUE(reply && reply->has_failed()) << stride;
  }
}

TEST_F(HostileRequest, ToAttachMoreThanTheFileHoldsIsRefused) {
  const UniqueFd file(::memfd_create("file", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(file.get(), 100), 0);
  const int fd = file.get();
  const std::span fds(&fd, 1);
  const auto good = [&] { return attach(); };
  refused(good(), ErrorCode::kInvalidArgument);  // without its descriptor
  auto beyond = good();
  beyond.mutable_attach_array()->mutable_spec()->set_shape(0, 11);
  refused(beyond, ErrorCode::kInvalidArgument, fds);
  auto offset = good();
  offset.mutable_attach_array()->set_data_offset(kAll);
  refused(offset, ErrorCode::kBadData, fds);
  offset.mutable_attach_array()->set_data_offset(16);
  offset.mutable_attach_array()->mutable_spec()->set_offset(kAll - 7);
  auto reply = client_->ask(offset, fds);
  EXPECT_TRUE(reply && reply->has_failed());
  for (const std::int64_t stride : {INT64_MAX, INT64_MIN, std::int64_t{-8}, std::int64_t{16}}) {
    auto strided = good();
    strided.mutable_attach_array()->mutable_spec()->set_strides(0, stride);
    reply = client_->ask(strided, fds);
    EXPECT_TRUE(reply && reply->has_failed()) << stride;
  }
  auto named = good();
  named.mutable_attach_array()->set_name("a/b");
  refused(named, ErrorCode::kInvalidArgument, fds);
}

TEST_F(HostileRequest, ToAttachWhatIsNoReadableFileIsRefused) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  const UniqueFd reading(pipe[0]), writing(pipe[1]);
  const std::string path = directory() / "file";
  write_file(path, std::string(100, 'x'));
  const UniqueFd socket_fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)),
      folder(::open("/", O_RDONLY | O_CLOEXEC)), zero(::open("/dev/zero", O_RDWR | O_CLOEXEC)),
      by_path(::open(path.c_str(), O_PATH | O_CLOEXEC)),
      write_only(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  for (const UniqueFd* fd : {&reading, &writing, &socket_fd, &folder, &zero, &by_path, &write_only}) {
    const int number = fd->get();
    refused(attach(), ErrorCode::kBadData, std::span(&number, 1));
  }
  const UniqueFd read_only(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const int number = read_only.get();
  auto writable = attach();
  writable.mutable_attach_array()->set_writable(true);
  refused(writable, ErrorCode::kNotPermitted, std::span(&number, 1));
}

TEST_F(HostileRequest, WithUnreachableStridesOverAnAttachedFileIsComputedAsItIs) {
  // Stride 0: every element is the same one. Legal, and one of NumPy's broadcasts.
  const UniqueFd file(::memfd_create("file", MFD_CLOEXEC));
  const double value = 1.5;
  ASSERT_EQ(::pwrite(file.get(), &value, sizeof value, 16), static_cast<ssize_t>(sizeof value));
  const int fd = file.get();
  auto broadcast = attach();
  broadcast.mutable_attach_array()->mutable_spec()->set_shape(0, 1'000'000);
  broadcast.mutable_attach_array()->mutable_spec()->set_strides(0, 0);
  const auto reply = client_->ask(broadcast, std::span(&fd, 1));
  ASSERT_TRUE(reply && reply->has_array_found()) << reply->failed().message();
  auto sum = submit();
  sum.mutable_submit_job()->mutable_operation()->mutable_evaluate()->set_expression("sum(a)");
  sum.mutable_submit_job()->mutable_operation()->mutable_evaluate()->add_names("a");
  sum.mutable_submit_job()->add_inputs()->set_id(reply->array_found().array().id());
  const auto answer = client_->ask(sum);
  ASSERT_TRUE(answer && answer->has_job_ended());
  double total = 0;
  std::memcpy(&total, answer->job_ended().scalar().data(), sizeof total);
  EXPECT_EQ(total, 1'500'000);
  wire::Request remove = request(++last_id_);
  remove.mutable_remove_array()->mutable_array()->set_id(reply->array_found().array().id());
  EXPECT_TRUE(client_->ask(remove)->has_done());
}

TEST_F(HostileRequest, ForJobsAndArraysThatAreNotThereIsRefused) {
  auto with = [&](auto change) {
    wire::Request made = request(++last_id_);
    change(made);
    refused(made, ErrorCode::kNotFound);
  };
  with([](wire::Request& made) { made.mutable_wait_job(); });
  with([](wire::Request& made) { made.mutable_wait_job()->mutable_job()->set_id(kAll); });
  with([](wire::Request& made) { made.mutable_get_job()->mutable_job()->set_request(kAll); });
  with([](wire::Request& made) { made.mutable_cancel_job()->mutable_job()->set_id(0); });
  with([](wire::Request& made) { made.mutable_find_array(); });
  with([](wire::Request& made) { made.mutable_find_array()->mutable_array()->set_name(""); });
  with([](wire::Request& made) { made.mutable_remove_array()->mutable_array()->set_id(kAll); });
}

TEST_F(HostileRequest, ToListPastTheEndIsAnEmptyList) {
  wire::Request list = request(++last_id_);
  list.mutable_list_arrays()->set_after_id(kAll);
  const auto reply = client_->ask(list);
  ASSERT_TRUE(reply && reply->has_arrays_listed());
  EXPECT_EQ(reply->arrays_listed().arrays_size(), 0);
  EXPECT_FALSE(reply->arrays_listed().more());
}

}  // namespace
}  // namespace parcompute::testing
