// Job: an operation that the server is computing.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "client/cpp/array.h"
#include "client/cpp/failure.h"
#include "client/cpp/scalar.h"

namespace parcompute {

enum class JobState { kQueued = 1, kRunning = 2, kDone = 3, kFailed = 4, kCancelled = 5 };

// A worker that ended with a chunk in hand.
struct WorkerDeath {
  std::size_t worker = 0;
  std::int32_t pid = 0;
  std::string how;    // "was killed by signal 11 (Segmentation fault)"
  std::string fault;  // "at address 0x10", then a line for each frame of its stack; empty where it could not say
  std::uint64_t peak_bytes = 0;  // of its resident memory; 0: unknown
  bool by_oom_killer = false;
};

// Why a job failed of a chunk that ended one worker after the other.
struct DeathCertificate {
  unsigned phase = 0;  // 0 reserves memory; the operation's own follow
  std::uint64_t first_block = 0;
  std::uint64_t block_count = 0;
  std::string slice;  // "[64:128]": of the job's output, that the blocks make; empty where they make no slice of it
  std::vector<WorkerDeath> deaths;
};

struct JobInfo {
  std::uint64_t id = 0;
  JobState state = JobState::kQueued;
  std::optional<JobState> ending;  // of a running one that begins nothing more: what it will be when the blocks in hand are done
  std::string operation;
  std::string expression;  // of an evaluation: its text, from find_job() and jobs(); not in a JobResult
  std::uint64_t blocks_done = 0;
  std::uint64_t blocks_total = 0;
  std::uint64_t chunks_done = 0;
  double seconds = 0;       // since it started running, or what it took
  double busy_seconds = 0;  // the workers' time in its chunks, added up
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t retries = 0;  // chunks computed again because their worker died
  std::uint32_t owner_uid = 0;
  bool detached = false;
  std::string waiting_for;             // of a queued job
  std::optional<ErrorCode> error_code;  // of a failed or cancelled one
  std::string error;
  std::optional<DeathCertificate> certificate;  // not of those in a list
  int priority = 0;
  bool background = false;
  std::optional<double> time_limit_seconds;
};

// What keeps a job from going on.
struct Obstacle {
  enum class Cause {
    kUnknown = 0,     // to this client
    kOperand = 1,     // `job` is to write `array`, which it reads
    kOutput = 2,      // `job` uses `array`, which it writes
    kAfter = 3,       // it comes after `job`
    kMemory = 4,      // what it takes the place of is still being given back: `bytes`
    kNoWorker = 5,    // none is up
    kShare = 6,       // others have their share of the workers' time first
    kForeground = 7,  // it is in the background, and others have blocks
    kBlocks = 8,      // workers have all blocks of its phase in hand, and the next phase begins when they are done
    kWorkers = 9,     // as many workers compute it as may
  };
  Cause cause = Cause::kUnknown;
  std::uint64_t job = 0;
  std::string array;
  std::uint64_t bytes = 0;
};

// Why a job waits, or what it is doing.
struct JobExplanation {
  JobInfo job;
  std::vector<Obstacle> obstacles;  // the first of them
  std::uint64_t obstacle_count = 0; // all
  // ---- of a running one
  unsigned phase = 0;   // 0 reserves memory; the operation's own follow
  unsigned phases = 0;  // the operation's own
  std::uint64_t phase_blocks = 0, phase_blocks_done = 0, blocks_in_hand = 0;
  unsigned workers = 0;       // that have some of them
  unsigned most_workers = 0;  // that may, of those that are up
  double share = 0;           // of the workers' time, 0 to 1, while all who want workers now do
  std::optional<double> seconds_left;  // as far as can be estimated
};

struct JobResult {
  JobInfo info;
  std::optional<Scalar> scalar;
  Array output;  // empty handle where there is none
};

// A handle. A job whose last handle goes before its end is not cancelled by that; an anonymous output goes with it.
class Job {
 public:
  using Progress = std::function<void(const JobInfo&)>;

  // Waits for the end. Calls `progress` about every 0.1 s until then, on this thread. Throws Failure: the job's own, or
  // kTimeout when `timeout` has passed; the job then goes on, and can be waited for again or cancelled.
  JobResult wait(const Progress& progress = {}, std::optional<std::chrono::duration<double>> timeout = {});

  // For who waits for other things, too: takes what has come, and waits for nothing. Nothing where the job has not ended; throws
  // the job's own Failure.
  std::optional<JobResult> ended();
  // Its end has come and was not taken yet: ended() has it without asking the system.
  bool has_answer() const;
  // Readable when there is something to take, or the server has gone: for poll(). Other handles of the session take what has come for this
  // one, too; the next ended() has it then.
  int descriptor() const;

  JobInfo info();
  JobExplanation explain();
  // Ends it after the blocks that workers have in hand; wait() then throws kCancelled. No effect on an ended job.
  void cancel();
  std::uint64_t id();

  struct State;
  explicit Job(std::shared_ptr<State> state) : state_(std::move(state)) {}

 private:
  std::shared_ptr<State> state_;
};

}  // namespace parcompute
