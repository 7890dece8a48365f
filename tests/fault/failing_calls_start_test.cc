// Calls that fail while a server starts, or starts its forkserver again.
#include <algorithm>
#include <array>
#include <iostream>

#include <fmt/format.h>

#include "common/os/socket_path.h"
#include "tests/fault/failing_calls_fixture.h"

namespace parcompute::testing {
namespace {

// Of the starts with a failure ctest tries so many, chosen by chance.
constexpr std::size_t kShare = 60;

class FailingCallsAtStart : public FailingCallsTest {
 protected:
  void SetUp() override {
    FailingCallsTest::SetUp();
    options_.socket = std::filesystem::path(directory() / "t") / "control.sock";
    options_.workers = 1;
    options_.memory_bytes = 64 * kMebibyte;
    options_.spare_bytes = 0;
  }

  Session connect_here() {
    ConnectOptions options;
    options.socket = options_.socket;
    options.start_embedded = false;
    return Session::connect(options);
  }

  static void expect_work_is_done(Session& session) {
    EXPECT_EQ(session.submit(Reduce{.a = session.create("", DType::kFloat64, {1000})}).wait().scalar.value().as<double>(), 0);
  }

  // Starts a server with the failure: it serves, or says why not, and nothing of it stays.
  std::string start_with(const Fault& fault) {
    ::alarm(100);
    std::string outcome = "done";
    arm(fault);
    try {
      PrivateServer server(options_);
      disarm();
      Session session = connect_here();
      expect_work_is_done(session);
    } catch (const Failure& failure) {
      disarm();
      outcome = fmt::format("{}: {}", error_code_name(failure.code()), failure.what());
    } catch (const std::bad_alloc&) {
      disarm();
      outcome = "std::bad_alloc";
      EXPECT_TRUE(fault.role == Role::kClient && fault.call == Call::kAllocate) << describe(fault);
    }
    const std::string what = fmt::format("a server's start, while {}: {}", describe(fault), outcome);
    EXPECT_TRUE(segments_of(options_.socket).empty()) << what;
    try {
      PrivateServer server(options_);
      Session session = connect_here();
      expect_work_is_done(session);
    } catch (const Failure& failure) {
      ADD_FAILURE() << "the next start after " << what << ": " << failure.what();
    }
    EXPECT_FALSE(std::filesystem::exists(options_.socket)) << what;
    return outcome;
  }

  // Starts a server on the socket of one that was killed, with the failure; whatever comes of it, the next one has all that it had.
  std::string take_over_with(const Fault& fault) {
    ::alarm(100);
    std::string outcome = "done";
    arm(fault);
    try {
      start_lasting(1);
      disarm();
    } catch (const Failure& failure) {
      disarm();
      outcome = fmt::format("{}: {}", error_code_name(failure.code()), failure.what());
    } catch (const std::bad_alloc&) {
      disarm();
      outcome = "std::bad_alloc";
      EXPECT_TRUE(fault.role == Role::kClient && fault.call == Call::kAllocate) << describe(fault);
    }
    const std::string what = fmt::format("a server that takes over, while {}: {}", describe(fault), outcome);
    if (outcome == "done") expect_arrays(what);
    try {
      if (outcome != "done") start_lasting(1);
    } catch (const Failure& failure) {
      // It served, and its client alone was refused something.
      EXPECT_EQ(failure.code(), ErrorCode::kAlreadyExists) << failure.what();
    }
    expect_arrays("the next one after " + what);
    serve_at(lasting_socket(), connect().status().server_pid);
    kill_server();
    return outcome;
  }

  void make_arrays() {
    start_lasting(1);
    auto session = connect();
    session.create_arange("small", DType::kInt64, {100});
    session.create_arange("large", DType::kInt64, {400'000});
    kill_server();
  }

  void expect_arrays(const std::string& what) {
    try {
      auto session = connect();
      EXPECT_EQ(session.list().size(), 2u) << what;
      for (const auto& [name, size] : {std::pair{"small", 100}, {"large", 400'000}}) {
        auto array = session.find(name);
        EXPECT_FALSE(array.info().incomplete) << what;
        EXPECT_EQ(session.submit(Reduce{.a = array}).wait().scalar.value().as<std::int64_t>(), std::int64_t{size} * (size - 1) / 2) << what;
      }
    } catch (const Failure& failure) {
      ADD_FAILURE() << what << ": " << failure.what();
    }
  }

  // Each failure that a start can meet, or a share of them; `start` has been made once with all calls counted.
  template <class Start>
  void try_each(Start start) {
    std::vector<Fault> faults;
    for (const Role role : {Role::kCoordinator, Role::kForkserver, Role::kWorker, Role::kClient})
      for (const FailingCall& call : failing_calls())
        for (const int error : errors_of(call, role))
          for (std::uint64_t nth = 1; nth <= count(role, call.call); ++nth) faults.push_back({role, call.call, error, false, nth});
    if (const char* only = std::getenv("PARCOMPUTE_FAULT_CALL")) std::erase_if(faults, [&](const Fault& fault) { return name_of(fault.call) != only; });
    std::cout << faults.size() << " failures can be met\n";
    if (!all()) {
      std::ranges::shuffle(faults, random());
      faults.resize(std::min(faults.size(), kShare));
    }
    for (const Fault& fault : faults) {
      const std::string outcome = start(fault);
      if (std::getenv("PARCOMPUTE_FAULT_STORIES") != nullptr) std::cout << describe(fault) << " | " << outcome << std::endl;
      if (HasFailure()) break;
    }
  }

  ServerOptions options_;
};

TEST_F(FailingCallsAtStart, EndInAServerOrInAnErrorThatSaysWhyThereIsNone) {
  start_with(Fault{});
  try_each([this](const Fault& fault) { return start_with(fault); });
}

TEST_F(FailingCallsAtStart, LoseNoArrayOfTheServerBefore) {
  make_arrays();
  take_over_with(Fault{});
  try_each([this](const Fault& fault) { return take_over_with(fault); });
}

// What takes over makes few calls: each of its own is tried, in every run.
TEST_F(FailingCallsAtStart, OfTheTakingOverItselfLoseNoArray) {
  make_arrays();
  take_over_with(Fault{});
  std::vector<Fault> faults;
  for (const FailingCall& call : failing_calls()) {
    if (call.call != Call::kOpenDirectory && call.call != Call::kOpenSegment && call.call != Call::kPread && call.call != Call::kDuplicate) continue;
    for (const int error : call.errors)
      for (std::uint64_t nth = 1; nth <= std::min<std::uint64_t>(count(Role::kCoordinator, call.call), 4); ++nth) faults.push_back({Role::kCoordinator, call.call, error, false, nth});
  }
  std::size_t refused = 0;
  for (const Fault& fault : faults) {
    refused += take_over_with(fault).find("arrays of the one before it") != std::string::npos;
    if (HasFailure()) break;
  }
  EXPECT_GE(refused, 8u) << "of " << faults.size();
}

TEST_F(FailingCallsAtStart, OfTheForkserverAgainOnlyDelayIt) {
  constexpr std::array kCallsOfAStart{Call::kSocketPair, Call::kSpawn, Call::kWatch, Call::kReceive, Call::kReceiveFds, Call::kSend, Call::kSendFds, Call::kPidfd};
  for (const FailingCall& call : failing_calls()) {
    if (std::ranges::find(kCallsOfAStart, call.call) == kCallsOfAStart.end()) continue;
    for (const Role role : {Role::kCoordinator, Role::kForkserver}) {
      ::alarm(100);
      // A server for each: of one that loses its forkserver again and again nothing is expected.
      const Fault fault{role, call.call, call.errors.front(), false, 1};
      PrivateServer server(options_);
      Session session = connect_here();
      const int old = session.status().forkserver_pid;
      arm(fault);
      kill_now(old);
      try {
        expect_work_is_done(session);
        until([&] { return session.status().forkserver_pid != old; }, "another forkserver");
        disarm();
        expect_work_is_done(session);
      } catch (const Failure& failure) {
        ADD_FAILURE() << "a new forkserver, while " << describe(fault) << ": " << failure.what();
      }
      disarm();
    }
  }
}

}  // namespace
}  // namespace parcompute::testing
