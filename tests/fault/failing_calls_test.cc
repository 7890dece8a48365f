// In the manner of SQLite: the first call of a kind fails, then the second, the third, until a request passes without meeting a
// failure; once, and from then on. After each: the request ended, rightly or with an error that says why, the next one is right,
// the server lives, and nothing is left behind.
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "common/os/child_process.h"
#include "tests/fault/failing_calls_fixture.h"

namespace parcompute::testing {
namespace {

// Of the whole matrix ctest tries so many, chosen by chance.
constexpr std::size_t kShare = 250;
// And of those that fail from then on one in so many, for they take their time.
constexpr std::size_t kStickyShare = 8;
// A call that fails later than that is of a loop.
constexpr std::uint64_t kMostCalls = 20000;

struct Case {
  std::size_t request;
  Fault fault;
};

constexpr std::array kRoles{Role::kCoordinator, Role::kForkserver, Role::kWorker, Role::kClient};

class FailingCalls : public FailingCallsTest {
 protected:
  // All first failures: what is called at all when nothing fails, with the number of calls as `nth`.
  std::vector<Case> matrix(const std::vector<FaultyRequest>& requests, bool allocations) {
    std::vector<Case> cases;
    for (std::size_t i = 0; i < requests.size(); ++i) {
      attempt(requests[i], Fault{});
      for (const Role role : kRoles)
        for (const FailingCall& call : failing_calls())
          if ((call.call == Call::kAllocate) == allocations && count(role, call.call) > 0)
            for (const int error : errors_of(call, role))
              for (const bool sticky : {false, true}) cases.push_back({i, {role, call.call, error, sticky, count(role, call.call)}});
    }
    return cases;
  }

  void try_all(const std::vector<FaultyRequest>& requests, const std::vector<Case>& cases) {
    std::size_t tried = 0;
    std::size_t met = 0;
    for (Case one : cases) {
      std::uint64_t nth = 0;
      do {
        one.fault.nth = ++nth;
        ++tried;
      } while (attempt(requests[one.request], one.fault) > 0 && ++met && nth < kMostCalls && !has_failed_often());
      if (has_failed_often()) break;
    }
    std::cout << tried << " tried, " << met << " failures met\n";
  }

  void try_share(const std::vector<FaultyRequest>& requests, const std::vector<Case>& cases) {
    std::size_t met = 0;
    for (std::size_t i = 0; i < kShare && !has_failed_often(); ++i) {
      Case one = cases[random()() % cases.size()];
      one.fault.nth = random()() % one.fault.nth + 1;
      one.fault.sticky = one.fault.sticky && random()() % kStickyShare == 0;
      met += attempt(requests[one.request], one.fault) > 0;
    }
    std::cout << kShare << " of the matrix tried, " << met << " failures met\n";
    EXPECT_GT(met, kShare / 2);
  }

  static bool has_failed_often() { return ::testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count() > 20; }

  void try_matrix(bool allocations) {
    serve();
    try_matrix(requests(), allocations);
  }

  void try_matrix(std::vector<FaultyRequest> requests, bool allocations) {
    if (const char* only = std::getenv("PARCOMPUTE_FAULT_REQUEST")) std::erase_if(requests, [&](const auto& request) { return request.name != only; });
    auto cases = matrix(requests, allocations);
    if (const char* only = std::getenv("PARCOMPUTE_FAULT_CALL")) std::erase_if(cases, [&](const Case& one) { return name_of(one.fault.call) != only; });
    if (const char* only = std::getenv("PARCOMPUTE_FAULT_ROLE")) std::erase_if(cases, [&](const Case& one) { return name_of(one.fault.role) != only; });
    std::cout << cases.size() << " combinations of request, call and error\n";
    all() ? try_all(requests, cases) : try_share(requests, cases);
  }
};

TEST_F(FailingCalls, OfTheSystemEndInTheRightResultOrAnErrorAndLeaveNothingBehind) {
  try_matrix(false);
}

TEST_F(FailingCalls, WhileSpareSegmentsAreTakenAndGivenLeaveNothingBehind) {
  serve(std::nullopt);
  auto makers = requests();
  const auto makes_none = [](const FaultyRequest& request) {
    return request.name.find("array") == std::string::npos && request.name.find("expression") == std::string::npos;
  };
  std::erase_if(makers, makes_none);
  try_matrix(std::move(makers), false);
}

// As in memory that has a name; of a server that somebody told so, for clients start none.
TEST_F(FailingCalls, OfAServerWithSealedSegmentsLeaveNothingBehind) {
  const auto program = find_program("parcompute-server", "PARCOMPUTE_SERVER");
  ASSERT_TRUE(program);
  const std::string script = directory() / "sealed-server";
  write_file(script, "#!/bin/sh\nexec '" + program->native() + "' --backing sealed \"$@\"\n");
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  const char* const before = std::getenv("PARCOMPUTE_SERVER");
  const std::string own = before == nullptr ? "" : before;
  ::setenv("PARCOMPUTE_SERVER", script.c_str(), 1);
  serve();
  own.empty() ? ::unsetenv("PARCOMPUTE_SERVER") : ::setenv("PARCOMPUTE_SERVER", own.c_str(), 1);
  EXPECT_TRUE(segments().empty()) << "what they lie in has no names";
  try_matrix(requests(), false);
}

TEST_F(FailingCalls, OfTheClientsAllocatorLoseNoAnswerThatItAsksForAgain) {
  serve();
  bool has_met = true;
  for (std::uint64_t nth = 1; has_met && !HasFailure(); ++nth) {
    Session session = connect();
    Job job = session.submit(session.evaluate("sum(base)"));
    Patience patience;
    arm({Role::kClient, Call::kAllocate, ENOMEM, false, nth});
    patience.begin(page(), server_pid());
    double sum = -1;
    try {
      sum = job.wait().scalar.value().as<double>();
    } catch (const std::bad_alloc&) {
      disarm();
      // It has the answer still, asks for it once more, or says that the session is over.
      try {
        sum = job.wait().scalar.value().as<double>();
      } catch (const Failure& failure) {
        EXPECT_EQ(failure.code(), ErrorCode::kNoServer) << failure.what();
      }
    }
    disarm();
    EXPECT_TRUE(patience.end()) << "an answer was lost with allocation " << nth << ", and waited for";
    EXPECT_TRUE(sum == -1 || sum == 131072.0 * 131071 / 2) << sum;
    has_met = page().failed > 0;
  }
}

TEST_F(FailingCalls, OfTheAllocatorEndInTheRightResultOrAnErrorAndLeaveNothingBehind) {
  try_matrix(true);
}

}  // namespace
}  // namespace parcompute::testing
