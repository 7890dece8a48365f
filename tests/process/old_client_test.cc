// What a client of protocol version 1 said when that version was new, byte by byte: it is understood for as long as the version is served.
// Never to be changed; what is new gets lines of its own.
#include <charconv>

#include <gmock/gmock.h>

#include "proto/version.h"
#include "tests/support/raw_client.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

using ::testing::StartsWith;

// A request as it was sent, in hexadecimal, and what the reply to it must be.
struct Recorded {
  const char* what;
  std::string_view packet;
  void (*expect)(const wire::Reply& reply);
};

void expect_done(const wire::Reply& reply) {
  EXPECT_TRUE(reply.has_done());
}
void expect_nop_done(const wire::JobInfo& job) {
  EXPECT_EQ(job.state(), wire::JobInfo::DONE);
  EXPECT_EQ(job.operation(), "nop");
  EXPECT_EQ(job.blocks_done(), 100u);
  EXPECT_TRUE(job.detached());
}
void expect_whole_array(const wire::ArrayInfo& array) {
  EXPECT_EQ(array.name(), "a");
  EXPECT_EQ(array.spec().dtype(), 5u);
  EXPECT_EQ(array.spec().shape(0), 1000);
  EXPECT_EQ(array.data_bytes(), 8000u);
  EXPECT_FALSE(array.incomplete());
  EXPECT_EQ(array.backing(), wire::ArrayInfo::SEGMENT);
}

constexpr Recorded kConversation[] = {
    {"hello", "0801121d080110011a17706172636f6d707574652d636c69656e7420312e302e30",
     [](const wire::Reply& reply) {
       EXPECT_EQ(reply.welcome().version(), 1u);
       EXPECT_EQ(reply.welcome().workers(), 2u);
       EXPECT_THAT(reply.welcome().server(), StartsWith("parcompute-server "));
     }},
    {"makes array 'a', int64, 0 to 999", "08021a110a0c1a0a0a0608051202e80710021a0161",
     [](const wire::Reply& reply) {
       EXPECT_EQ(reply.job_ended().job().state(), wire::JobInfo::DONE);
       expect_whole_array(reply.job_ended().output());
     }},
    {"finds it", "080342050a030a0161", [](const wire::Reply& reply) { expect_whole_array(reply.array_found().array()); }},
    {"sums it", "08041a140a0d320b0a0673756d28612912016112030a0161",
     [](const wire::Reply& reply) {
       EXPECT_EQ(reply.job_ended().scalar_dtype(), 5u);
       EXPECT_EQ(reply.job_ended().scalar(), std::string("\x2c\x9f\x07\0\0\0\0\0", 8)) << "499500";
     }},
    {"sorts its first ten, backwards, in place", "08051a240a0462021001120d0a01611a08080512010a1a0110420d0a01611a08080512010a1a0110",
     [](const wire::Reply& reply) { EXPECT_EQ(reply.job_ended().job().state(), wire::JobInfo::DONE); }},
    {"starts a job that does nothing, and leaves it", "08061a0c0a042a020864280a30013801",
     [](const wire::Reply& reply) { EXPECT_GT(reply.job_submitted().job_id(), 0u); }},
    {"waits for it", "080722040a020804", [](const wire::Reply& reply) { expect_nop_done(reply.job_ended().job()); }},
    {"asks for it", "08082a040a020804", [](const wire::Reply& reply) { expect_nop_done(reply.job_described().job()); }},
    {"lists the jobs", "08093200",
     [](const wire::Reply& reply) {
       ASSERT_EQ(reply.jobs_listed().jobs_size(), 4);
       expect_nop_done(reply.jobs_listed().jobs(0));
     }},
    {"cancels what has ended", "080a3a040a020804", [](const wire::Reply& reply) { expect_nop_done(reply.job_described().job()); }},
    {"lists the arrays", "080b4a00",
     [](const wire::Reply& reply) {
       ASSERT_EQ(reply.arrays_listed().arrays_size(), 1);
       expect_whole_array(reply.arrays_listed().arrays(0));
       EXPECT_FALSE(reply.arrays_listed().more());
     }},
    {"asks how the server is", "080c6200",
     [](const wire::Reply& reply) {
       EXPECT_EQ(reply.status_reported().workers_size(), 2);
       EXPECT_EQ(reply.status_reported().arrays(), 1u);
       EXPECT_GT(reply.status_reported().memory_used_bytes(), 8000u);
     }},
    {"accepts what is whole", "080d72050a030a0161", [](const wire::Reply& reply) { EXPECT_FALSE(reply.array_found().was_incomplete()); }},
    {"lets the group read", "080e7a070a030a01611001", expect_done},
    {"says what nobody knows yet: field 4000", "0810620080fa0107", [](const wire::Reply& reply) { EXPECT_TRUE(reply.has_status_reported()); }},
    {"removes the array", "080f5a050a030a0161", expect_done},
    {"stops the server", "08116a020801", expect_done},
};

std::string bytes_of_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    unsigned byte = 0;
    std::from_chars(hex.data() + i, hex.data() + i + 2, byte, 16);
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

using OldClient = ServerTest;

TEST_F(OldClient, OfVersionOneIsServed) {
  static_assert(kMinWireVersion <= 1, "version 1 is served no more: this test goes with it");
  start(2);
  RawClient client(socket());
  for (const Recorded& recorded : kConversation) {
    SCOPED_TRACE(recorded.what);
    ASSERT_TRUE(client.send(bytes_of_hex(recorded.packet)));
    const auto reply = client.receive();
    ASSERT_TRUE(reply);
    ASSERT_FALSE(reply->has_failed()) << reply->failed().message();
    wire::Request request;
    ASSERT_TRUE(request.ParseFromString(bytes_of_hex(recorded.packet)));
    EXPECT_EQ(reply->request_id(), request.id());
    recorded.expect(*reply);
  }
}

}  // namespace
}  // namespace parcompute::testing
