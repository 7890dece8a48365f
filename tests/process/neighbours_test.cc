// What one user of a shared server does to the others: nothing.
#include <signal.h>
#include <sys/resource.h>

#include <list>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "proto/limits.h"
#include "tests/support/lingering.h"
#include "tests/support/npy_bytes.h"
#include "tests/support/raw_client.h"
#include "tests/support/two_users.h"

namespace parcompute::testing {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

class Neighbours : public TwoUsers {
 protected:
  // A server with so many descriptors; it allows itself to have an eighth of them unread by one user.
  static constexpr rlim_t kDescriptors = 4096;
  static constexpr int kMostUnread = kDescriptors / 8;

  void SetUp() override {
    TwoUsers::SetUp();
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < kDescriptors) GTEST_SKIP() << "only " << limit.rlim_max << " open files are allowed";
    begin_for_both("named", kDescriptors);
  }

  static void expect_service(Session& session) {
    auto array = session.create_arange("", DType::kInt64, {1000});
    EXPECT_EQ(session.submit(Reduce{.a = array}).wait().scalar->as<std::int64_t>(), 499'500);
  }
  static wire::Request find_request(std::uint64_t id) {
    wire::Request find = request(id);
    find.mutable_find_array()->mutable_array()->set_name("a");
    return find;
  }
  // Clients that ask for descriptors, say good-bye and keep what they were sent unread.
  void expect_counted_after(void (*say_good_bye)(RawClient& client)) {
    auto root = connect();
    as(
        kAlice,
        [&](Session& session, const std::function<void()>& meanwhile) {
          const auto array = session.create("a", DType::kInt64, {8});
          std::list<RawClient> silent;
          bool is_refused = false;
          constexpr int kAtOnce = 50;  // as fit into a socket
          for (int i = 0; i < 4 * kMostUnread / kAtOnce && !is_refused; ++i) {
            silent.emplace_back(socket());
            silent.back().greet();
            for (int k = 0; k < kAtOnce; ++k) ASSERT_TRUE(silent.back().send(find_request(static_cast<std::uint64_t>(k) + 2)));
            say_good_bye(silent.back());
            try {
              session.find("a");
            } catch (const Failure& failure) {
              EXPECT_THAT(std::string(failure.what()), HasSubstr("unread"));
              is_refused = true;
            }
          }
          EXPECT_TRUE(is_refused);
          meanwhile();
          silent.clear();
          session.find("a");
        },
        [&] { expect_service(root); });
  }
};

TEST_F(Neighbours, WhoNeverReadTheirAnswersAreSentNoMoreDescriptorsAndOthersAre) {
  auto root = connect();
  as(
      kAlice,
      [&](Session& session, const std::function<void()>& meanwhile) {
        const auto array = session.create("a", DType::kInt64, {8});
        RawClient silent(socket());
        silent.greet();
        constexpr int kAsked = kMostUnread + 100;
        for (int i = 0; i < kAsked; ++i) ASSERT_TRUE(silent.send(find_request(static_cast<std::uint64_t>(i) + 2)));
        // A turn of the server's loop serves a packet of each session.
        for (int i = 0; i < kAsked; ++i) session.status();
        meanwhile();
        int found = 0, refused = 0;
        for (int i = 0; i < kAsked; ++i) {
          const auto reply = silent.receive();
          ASSERT_TRUE(reply);
          if (!reply->has_failed()) {
            ++found;
            continue;
          }
          ++refused;
          EXPECT_THAT(reply->failed().message(), HasSubstr(fmt::format("uid {} has {} descriptors of arrays unread", kAlice, kMostUnread)));
        }
        // One was the other session's, where that had an answer on its way at the moment of counting.
        EXPECT_THAT(found, AnyOf(kMostUnread, kMostUnread - 1));
        EXPECT_EQ(refused, kAsked - found);
        session.find("a");
      },
      [&] { expect_service(root); });
}

TEST_F(Neighbours, WhatIsUnreadInSessionsThatTheServerEndedIsCountedUntilItIsRead) {
  expect_counted_after([](RawClient& client) { client.send("\xff\xff"); });
}
TEST_F(Neighbours, WhatIsUnreadInSessionsThatTheirClientsEndedIsCountedUntilItIsRead) {
  expect_counted_after([](RawClient& client) { client.say_no_more(); });
}

TEST_F(Neighbours, WhoseDescriptorsLingerWaitAlone) {
  const std::string npy = directory() / "a.npy";
  write_file(npy, npy_file(1, "<f8", false, "(4,)", std::string(32, '\0')));
  auto root = connect();
  as(
      kAlice,
      [&](Session&, const std::function<void()>& meanwhile) {
        Lingering lingering;
        ASSERT_TRUE(lingering.peer);
        RawClient client(socket());
        client.greet();
        const int fd = lingering.socket.get();
        meanwhile();
        ASSERT_TRUE(client.send(status_request(2), std::span(&fd, 1)));
        lingering.socket.reset();  // the server is the only one to have it
        meanwhile();
        EXPECT_TRUE(client.receive()->has_failed()) << "nobody asked for it";
        const std::vector<int> gifts(kMaxPacketFds, STDERR_FILENO);
        std::optional<wire::Reply> refusal;
        for (std::uint64_t id = 3; id < 100; ++id) {
          refusal = client.ask(status_request(id), gifts);
          if (!refusal || refusal->failed().message().find("takes no more descriptors") != std::string::npos) break;
        }
        ASSERT_TRUE(refusal);
        EXPECT_THAT(refusal->failed().message(), HasSubstr(fmt::format("uid {}", kAlice)));
        meanwhile();
      },
      [&, turn = 0]() mutable {
        if (++turn < 3) {
          ASSERT_EQ(::kill(manager_->pid(), turn == 1 ? SIGSTOP : SIGCONT), 0);
          until([&] { return is_stopped(manager_->pid()) == (turn == 1); }, "the server has stopped, or goes on");
          return;
        }
        auto array = root.attach_npy("of root", npy);
        EXPECT_EQ(root.submit(Reduce{.a = array}).wait().scalar->as<double>(), 0.0);
      });
}

}  // namespace
}  // namespace parcompute::testing
