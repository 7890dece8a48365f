// A server of which any call can be made to fail, and what must hold after that.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>

#include "tests/fault/failing_calls.h"
#include "tests/fault/failing_calls_requests.h"
#include "tests/fault/failing_calls_table.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {

struct Fault {
  Role role = Role::kClient;
  Call call = Call::kNone;
  int error = 0;
  bool sticky = false;
  std::uint64_t nth = 0;  // 0: nothing fails, calls are counted
};
std::string describe(const Fault& fault);

// Lifts a failure that does not end by itself once it has lasted long enough, for some requests wait until it has passed; and
// ends the server where a request never ends.
class Patience {
 public:
  Patience();
  ~Patience();
  void begin(FailingCallsPage& page, pid_t server);
  // False where the server had to be ended.
  bool end();

 private:
  void watch();

  std::mutex mutex_;
  std::condition_variable changed_;
  FailingCallsPage* page_ = nullptr;  // while something is watched
  pid_t server_ = 0;
  std::uint64_t turn_ = 0;
  bool hung_ = false;
  bool leaving_ = false;
  std::thread thread_;
};

class FailingCallsTest : public ServerTest {
 protected:
  void SetUp() override;
  void TearDown() override;

  // A server with the operands that the requests need. Without spare segments what it holds can be counted.
  void serve(std::optional<std::uint64_t> spare_bytes = 0);
  // What the requests are: faulty_requests(), and those that need the test.
  std::vector<FaultyRequest> requests();

  // Runs `request` with the failure, then sees that all is as before and that the request is answered rightly without it. How
  // often the call was failed.
  std::uint64_t attempt(const FaultyRequest& request, const Fault& fault);
  // How often each call is made for the request.
  std::uint64_t count(Role role, Call call) const;

  void arm(const Fault& fault);
  void disarm() { page_->armed = false; }
  FailingCallsPage& page() { return *page_; }

  // PARCOMPUTE_FAULT_ALL: everything, instead of a share of it.
  static bool all();
  std::mt19937_64& random() { return random_; }

 private:
  struct Before {
    std::size_t descriptors = 0;
    std::size_t segments = 0;
    std::uint64_t memory = 0;
    std::uint64_t arrays = 0;
    std::uint64_t sessions = 0;
    bool operator==(const Before&) const = default;
  };
  Before look();
  // When it has not changed for a while.
  Before look_at_last();
  // What `request` did, as words; sets `wrong` where it must not be.
  std::string run(const FaultyRequest& request, Session& session, bool& wrong);
  std::string expect_session_is_usable(Session& session);
  void look_at_rest(const FaultyRequest& request, bool has_thrown, const std::string& what);
  void replace_workers();
  void remove_what_was_made();
  void expect_as_before(const std::string& what);
  std::string last_log_lines() const;

  FailingCallsPage* page_ = nullptr;
  std::unique_ptr<Patience> patience_;
  Before before_;
  pid_t pid_ = 0;
  bool keeps_spares_ = false;
  std::mt19937_64 random_;
};

}  // namespace parcompute::testing
