// Campaign: faults for as long as wanted, and what it means to survive them.
//
// A campaign does harm to a server of its own while clients work, and ends with the same five questions, whatever the harm was:
//
//   wrong    results that differ from an oracle's in any bit, and errors that no fault explains
//   stuck    calls that have neither returned nor failed within their deadline
//   leaks    descriptors, names in /dev/shm, mappings, processes, memory: more than before, 2 s after the end
//   deaths   of the coordinator, where it is not the victim
//   after    the next job is right
//
// All must be none. Its length and seed come from PARCOMPUTE_CAMPAIGN_SECONDS and PARCOMPUTE_CAMPAIGN_SEED (tests/run --campaign
// sets them); without them it is as short as the suite wants it, and the seed is new each time. The seed decides what is done
// and in which order; which moment of the server's it meets, no seed can say.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/sanitized.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {

using Dice = std::mt19937_64;
// From 0 to count - 1.
inline std::uint64_t below(Dice& dice, std::uint64_t count) {
  return dice() % count;
}
inline bool one_in(Dice& dice, std::uint64_t count) {
  return below(dice, count) == 0;
}

class Campaign;

// One of a campaign's client threads: a session, a random sequence of its own, and the watch over its calls.
class CampaignClient {
 public:
  CampaignClient(Campaign& campaign, std::size_t number, std::uint64_t seed);

  Session& session() { return *session_; }
  Dice& dice() { return dice_; }
  std::size_t number() const { return number_; }
  // Names that no other client uses: "c2-17".
  std::string new_name();

  // Says what it does next; its deadline counts from here.
  void doing(std::string what);
  // Does it. False where it failed and a fault explains it (Campaign::is_explained): that was counted. Other failures are the
  // campaign's, with `what` in front.
  bool attempt(const std::string& what, const std::function<void()>& call);
  // Waits for a job, no longer than the deadline, and counts it.
  JobResult wait(Job& job);
  // Something is not as it must be. The campaign ends.
  void wrong(const std::string& what);

 private:
  friend class Campaign;
  Campaign& campaign_;
  std::size_t number_;
  Dice dice_;
  std::optional<Session> session_;
  std::uint64_t last_name_ = 0;
  std::mutex mutex_;  // over what follows: the campaign's thread reads it
  std::string doing_;
  std::chrono::steady_clock::time_point since_{};
  bool is_busy_ = false;
};

struct Tallies {
  std::atomic<std::uint64_t> faults = 0;     // done by the campaign
  std::atomic<std::uint64_t> jobs = 0;       // that ended well
  std::atomic<std::uint64_t> retries = 0;    // chunks that were computed again
  std::atomic<std::uint64_t> explained = 0;  // calls that failed with the error that the faults explain
  std::atomic<std::uint64_t> wrong = 0, stuck = 0, leaks = 0, deaths = 0;
};

class Campaign : public ServerTest {
 protected:
  void SetUp() override;
  void TearDown() override;

  // ---- its length
  // Whether to go on: for the seconds that were asked for, or else until `done` is `enough` and more than least_jobs_ have ended well, which
  // takes a busy machine longer; not after something went wrong.
  bool goes_on(std::uint64_t done, std::uint64_t enough);
  bool is_over() const { return is_over_; }
  // Whether a job has ended well since this was last so: who strikes sooner than a busy machine lets a worker come up and do anything
  // shows nothing but that.
  bool has_worked();
  double wanted_seconds() const { return seconds_.value_or(0); }
  double elapsed_seconds() const;
  // Whether it has the machine to itself, so that times say something of the server: where seconds were asked for, and no sanitizer watches.
  bool is_measured() const { return seconds_ && !kSanitized; }
  // Waits, exponentially distributed around a mean, so that no fault keeps step with the server. Looks after the watchdog and
  // the clients' deadlines: every campaign's main loop comes by here.
  void pause(std::chrono::microseconds mean);
  Dice& dice() { return dice_; }

  // ---- clients
  // `life` is called again and again, each time with a new session, until the crew is dismissed.
  void employ(std::size_t clients, std::function<void(CampaignClient&)> life);
  // Lets every life end; all threads are gone then.
  void dismiss();
  bool is_dismissed() const { return dismissed_; }
  // Whether the campaign's faults may make a call fail so.
  virtual bool is_explained(const Failure&) const { return false; }
  // For campaigns that kill workers: a death in the middle of a chunk is made good; the third one of the same chunk is the job's
  // end, and what waited for that job's output ends with it.
  static bool is_by_third_death(const Failure& failure);
  void wrong(const std::string& what);
  void leaked(const std::string& what);

  // ---- before and after
  // The server at rest, which is what it must come back to.
  void remember_rest();
  // All workers are up and nothing is left of what the clients did, within 2 s; the server is the one it was.
  void expect_rest();
  // Makes the server give its spare segments back, which otherwise takes it 10 s: asks for all the memory that there is.
  virtual void use_up_spares();
  // Looks until `condition` holds: for at most so long of calm time (tests/support/calm_time.h), so that a campaign beside other
  // tests holds the server to its promises and not the machine, and for a minute of anybody's.
  bool holds_within(std::chrono::milliseconds patience, const std::function<bool()>& condition);

  // What is promised; ten times as slow under a sanitizer.
  static constexpr std::chrono::seconds kRest{kSanitized ? 20 : 2}, kOrphans{kSanitized ? 10 : 1};

  Tallies tallies_;
  std::uint64_t least_jobs_ = 0;

 private:
  std::uint64_t worked_ = 0;  // jobs at has_worked()
  friend class CampaignClient;
  struct Rest {
    pid_t server = 0;
    std::size_t descriptors = 0, segments = 0, processes = 0;
    std::uint64_t arrays = 0, memory = 0, sessions = 0;
    std::string describe() const;
    bool operator==(const Rest&) const = default;
  };
  Rest look();
  void look_for_stuck_clients();
  std::string tell() const;
  std::string how_to_repeat() const;

  std::optional<double> seconds_;
  std::uint64_t seed_ = 0;
  Dice dice_;
  std::chrono::steady_clock::time_point started_{};
  std::vector<std::unique_ptr<CampaignClient>> clients_;
  std::vector<std::thread> threads_;
  std::atomic<bool> dismissed_ = false;
  Rest rest_;
  std::mutex mutex_;
  std::vector<std::string> troubles_;
  std::atomic<bool> is_over_ = false;
};

}  // namespace parcompute::testing
