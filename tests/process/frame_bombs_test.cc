// Small packets that speak of huge things: refused before anything is allocated for them.
#include <functional>

#include "proto/limits.h"
#include "tests/support/raw_client.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

using Change = std::function<void(wire::SubmitJob&)>;

Change fill(std::vector<std::int64_t> shape, std::uint64_t offset = 0, std::vector<std::int64_t> strides = {}) {
  return [=](wire::SubmitJob& job) {
    job.set_anonymous_output(true);
    wire::ArraySpec& spec = *job.mutable_operation()->mutable_fill()->mutable_spec();
    spec.set_dtype(static_cast<std::uint32_t>(DType::kFloat64));
    spec.mutable_shape()->Add(shape.begin(), shape.end());
    spec.mutable_strides()->Add(strides.begin(), strides.end());
    spec.set_offset(offset);
  };
}
Change view(std::vector<std::int64_t> shape, std::vector<std::int64_t> strides, std::uint64_t offset) {
  return [=](wire::SubmitJob& job) {
    job.mutable_operation()->mutable_evaluate()->set_expression("sum(a)");
    job.mutable_operation()->mutable_evaluate()->add_names("a");
    wire::ArrayRef& reference = *job.add_inputs();
    reference.set_name("a");
    wire::ArraySpec& spec = *reference.mutable_view();
    spec.set_dtype(static_cast<std::uint32_t>(DType::kFloat64));
    spec.mutable_shape()->Add(shape.begin(), shape.end());
    spec.mutable_strides()->Add(strides.begin(), strides.end());
    spec.set_offset(offset);
  };
}
Change expression(std::string text) {
  return [=](wire::SubmitJob& job) {
    job.set_anonymous_output(true);
    job.mutable_operation()->mutable_evaluate()->set_expression(text);
    job.mutable_operation()->mutable_evaluate()->add_names("a");
    job.add_inputs()->set_name("a");
  };
}
std::string repeated(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

struct Bomb {
  const char* what;
  Change change;
};

const std::vector<Bomb>& bombs() {
  constexpr std::int64_t kHuge = INT64_MAX;
  static const std::vector<Bomb> all{
      {"2^31 elements", fill({std::int64_t{1} << 31})},
      {"2^32 - 1 elements", fill({(std::int64_t{1} << 32) - 1})},
      {"2^62 elements", fill({std::int64_t{1} << 62})},
      {"2^63 - 1 elements", fill({kHuge})},
      {"a product of 2^64", fill({std::int64_t{1} << 32, std::int64_t{1} << 32})},
      {"a product that wraps to 0", fill({std::int64_t{1} << 32, std::int64_t{1} << 32, 1})},
      {"bytes that wrap to 0", fill({std::int64_t{1} << 61})},
      {"a negative extent", fill({-1})},
      {"two negative extents", fill({-5, -5})},
      {"the least extent", fill({INT64_MIN})},
      {"33 dimensions", fill(std::vector<std::int64_t>(33, 1))},
      {"7,000 dimensions", fill(std::vector<std::int64_t>(7'000, 1))},
      {"60,000 dimensions", fill(std::vector<std::int64_t>(60'000, 1))},
      {"an offset of 2^64 - 8", fill({4}, ~std::uint64_t{7})},
      {"a stride of 2^63 - 1", fill({4}, 0, {kHuge})},
      {"more strides than extents", fill({4}, 0, {8, 8, 8})},
      {"a view of 2^63 - 1 elements", view({kHuge}, {8}, 0)},
      {"a view that ends behind its array", view({101}, {8}, 0)},
      {"a view that begins before its array", view({100}, {-8}, 0)},
      {"a view from 2^64 - 8 on", view({1}, {8}, ~std::uint64_t{7})},
      {"a view whose steps wrap", view({3}, {INT64_MIN}, 0)},
      {"a view whose steps wrap upwards", view({3}, {kHuge}, 0)},
      {"a view of 33 dimensions", view(std::vector<std::int64_t>(33, 1), std::vector<std::int64_t>(33, 8), 0)},
      {"60 KB of parentheses", expression(repeated("(", 60'000))},
      {"8,000 parentheses", expression(repeated("(", 8'000))},
      {"4,000 parentheses and their ends", expression(repeated("(", 3'900) + "a" + repeated(")", 3'900))},
      {"8,000 signs", expression(repeated("-", 8'000) + "a")},
      {"2,000 powers", expression("a" + repeated("**a", 2'000))},
      {"1,000 functions", expression(repeated("sqrt(", 1'000) + "a" + repeated(")", 1'000))},
      {"4,000 sums", expression("a" + repeated("+a", 3'900))},
      {"a number of 8,000 digits", expression("a + " + repeated("9", 8'000))},
      {"an index of 8,000 brackets", expression("a" + repeated("[", 8'000))},
  };
  return all;
}

class FrameBombs : public ServerTest {};

TEST_F(FrameBombs, AreRefusedBeforeAnythingIsAllocated) {
  start(1, 64 * kMebibyte, 0);
  auto session = connect();
  auto array = session.create_arange("a", DType::kFloat64, {100});
  RawClient client(socket());
  client.greet();
  const auto throw_all = [&](bool looks) {
    std::uint64_t id = 10;
    for (const auto& [what, change] : bombs()) {
      wire::Request bomb = request(++id);
      change(*bomb.mutable_submit_job());
      const auto reply = client.ask(bomb);
      ASSERT_TRUE(reply) << what << ": the session was closed";
      // What is large and makes sense may be computed.
      const bool is_computed = reply->has_job_ended() && reply->job_ended().job().state() == wire::JobInfo::DONE;
      if (!looks) continue;
      EXPECT_TRUE(reply->has_failed() || (is_computed && std::string_view(what).find("sums") != std::string_view::npos)) << what << " was served";
      if (reply->has_failed()) {
        EXPECT_LE(reply->failed().message().size(), kMaxErrorText) << what;
        EXPECT_NE(reply->failed().code(), static_cast<std::uint32_t>(ErrorCode::kSystem)) << what << ": " << reply->failed().message();
      }
      EXPECT_EQ(session.submit(Reduce{.a = array}).wait().scalar->as<double>(), 4950) << "after " << what;
    }
  };
  const pid_t server = session.status().server_pid;
  throw_all(true);
  const std::uint64_t before = resident_bytes(server);
  for (int round = 0; round < 20; ++round) throw_all(false);
  const std::uint64_t after = resident_bytes(server);
  if (!kSanitized) { EXPECT_LE(after, before + kMebibyte); }
  EXPECT_EQ(session.status().server_pid, server);
  EXPECT_EQ(replaced(), 0u);
  EXPECT_EQ(session.list().size(), 1u);
}

// A length that a field declares and the packet does not have.
TEST_F(FrameBombs, WhoseFieldsAreLongerThanTheirPacketAreNoRequests) {
  start(1);
  auto session = connect();
  const pid_t server = session.status().server_pid;
  const std::uint64_t before = resident_bytes(server);
  for (const std::string_view length : {"\xff\xff\xff\xff\x07", "\xff\xff\xff\xff\x0f", "\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "\x80\x80\x80\x80\x08"})
    for (char field = 1; field < 24; ++field) {
      RawClient client(socket());
      client.greet();
      // Field `field`, of a declared length.
      std::string bytes{static_cast<char>((field << 3) | 2)};
      if (field >= 16) bytes = {static_cast<char>(((field << 3) & 0x7f) | 2 | 0x80), 1};
      ASSERT_TRUE(client.send(bytes.append(length).append("abc")));
      const auto reply = client.receive();
      ASSERT_TRUE(reply && reply->has_failed());
      EXPECT_EQ(reply->failed().code(), static_cast<std::uint32_t>(ErrorCode::kBadData));
      EXPECT_FALSE(client.receive()) << "the session goes on";
    }
  if (!kSanitized) { EXPECT_LE(resident_bytes(server), before + kMebibyte); }
  EXPECT_EQ(session.status().server_pid, server);
}

}  // namespace
}  // namespace parcompute::testing
