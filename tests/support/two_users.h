// Users of one group who share a server, each a process of that uid.
#pragma once

#include <grp.h>
#include <unistd.h>

#include <array>
#include <functional>

#include "tests/support/process_state.h"
#include "tests/support/shared_service.h"

namespace parcompute::testing {

class TwoUsers : public SharedService {
 protected:
  static constexpr uid_t kAlice = 61'001, kBob = 61'002;
  static constexpr gid_t kGroup = 65'534;
  static constexpr const char* kGroupName = "nogroup";

  void begin_for_both(const char* backing, std::size_t open_files = 0, const std::vector<std::string>& more = {}) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be several users";
    const group* const entry = ::getgrnam(kGroupName);
    if (entry == nullptr || entry->gr_gid != kGroup) GTEST_SKIP() << "this machine has no group " << kGroupName;
    std::vector<std::string> options{"--admit-group", kGroupName, "--backing", backing};
    options.insert(options.end(), more.begin(), more.end());
    begin(std::move(options), kRoom, open_files);
  }

  // Runs `body` as another user, with a session of theirs.
  void as(uid_t user, const std::function<void(Session&)>& body) {
    EXPECT_EQ(in_child([&] {
                ::close_range(STDERR_FILENO + 1, ~0U, 0);
                be(user, body);
              }),
              0);
  }
  // As as(); whenever `body` calls its second argument, `meanwhile` is run by this process.
  void as(uid_t user, const std::function<void(Session&, const std::function<void()>&)>& body, const std::function<void()>& meanwhile) {
    std::array<int, 2> turn{}, back{};
    ASSERT_EQ(::pipe(turn.data()), 0);
    ASSERT_EQ(::pipe(back.data()), 0);
    std::array ends{UniqueFd(turn[0]), UniqueFd(turn[1]), UniqueFd(back[0]), UniqueFd(back[1])};
    char byte = 0;
    const pid_t child = ::fork();
    if (child == 0) {
      be(user, [&](Session& session) {
        body(session, [&] {
          EXPECT_EQ(::write(turn[1], &byte, 1), 1);
          EXPECT_EQ(::read(back[0], &byte, 1), 1);
        });
      });
      ::_exit(::testing::Test::HasFailure() ? 1 : 0);
    }
    ends[1].reset();  // so that the child's end shows
    while (::read(turn[0], &byte, 1) == 1) {
      meanwhile();
      EXPECT_EQ(::write(back[1], &byte, 1), 1);
    }
    EXPECT_EQ(wait_for(child), 0);
  }
  // This process, a child of the test's, is that user from now on.
  void be(uid_t user, const std::function<void(Session&)>& body) {
    if (::setgroups(0, nullptr) != 0 || ::setgid(kGroup) != 0 || ::setuid(user) != 0) ::_exit(2);
    try {
      Session session = connect();
      body(session);
    } catch (const std::exception& thrown) {
      ADD_FAILURE() << thrown.what();
    }
  }
};

}  // namespace parcompute::testing
