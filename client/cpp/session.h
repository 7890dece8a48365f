// Session: a connection to a parcompute server, the way in to everything else.
//
//   auto session = parcompute::Session::connect();
//   auto a = session.create("a", parcompute::DType::kFloat64, {1000, 1000});
//   std::ranges::fill(a.view<double>(), 1.0);                        // in shared memory, in place
//   auto sum = session.submit(parcompute::Reduce{.a = a}).wait().scalar->as<double>();
//
// A session and its handles belong to one thread at a time. When it ends, its anonymous arrays and its jobs that were
// not detached end with it. Every call throws Failure.
//
// The call that meets its server's end throws kNoServer. The next one connects again as connect() did, to the server that came after it (or it
// starts one): named arrays are found again there, handles from before are no operands of its jobs.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/cpp/array.h"
#include "client/cpp/job.h"
#include "client/cpp/operations.h"
#include "common/operation/number.h"

namespace parcompute {

struct ConnectOptions {
  // Empty: $PARCOMPUTE_SOCKET, else the first of $XDG_RUNTIME_DIR/parcompute, /run/parcompute and /tmp/parcompute-$UID
  // where a server answers.
  std::filesystem::path socket;
  // Start a private server where none answers. Without it connect() throws kNoServer.
  bool start_embedded = true;
  std::string client_name = "C++ client";  // for the server's log
  // Called before a private server is started, with the reason: where nobody answers. A service that is down is no secret.
  std::function<void(const std::string& why)> on_start = {};
  // How long connecting, and each call, waits for a server that says nothing; then it throws kTimeout, and says whose
  // silence it was. Jobs may take as long as they like: who waits for one asks after it now and then.
  std::chrono::milliseconds patience{30'000};
};

// Where a job's result goes, and when and by how many it is computed.
struct SubmitOptions {
  std::string output;              // name of the array to make; empty: a scalar, or an anonymous array
  Array into;                      // or an array that exists, or a view of one; it may be an operand, too
  std::uint64_t chunk_blocks = 0;  // 0: chosen by the scheduler
  unsigned max_workers = 0;        // 0: all
  bool detach = false;             // the job outlives the session
  int priority = 0;                // -20 (soonest) to 19, as nice's; below 0 only for root and the server's own user
  bool background = false;         // it has workers only while nobody else has blocks for them; its priority is then 0
  std::vector<std::uint64_t> after;  // jobs of the same server (the next one numbers its own from 1); it starts when all of them have ended well, and is cancelled where one does not
  std::optional<std::chrono::duration<double>> time_limit;  // of running: it is cancelled when that is over
};

struct WorkerInfo {
  enum class State { kStarting = 0, kIdle = 1, kBusy = 2 };
  unsigned id = 0;
  int pid = 0;
  std::optional<int> cpu;  // where it is pinned
  State state = State::kStarting;
  std::uint64_t chunks_done = 0;
  std::uint64_t replaced = 0;  // how many workers before it died in this place
  std::optional<unsigned> node;  // of memory (NUMA), where it is pinned and that is known
  bool parked = false;           // fewer CPUs are allowed than there are workers: it is given no work
};

// What one user has of a server.
struct UserUse {
  std::uint32_t uid = 0;
  std::uint64_t memory_bytes = 0;  // of arrays, jobs' scratch areas, and removed arrays that programs still have open
  std::uint64_t arrays = 0;
  std::uint64_t jobs = 0;  // waiting or running
  std::uint64_t sessions = 0;
};

struct Status {
  int server_pid = 0;
  int forkserver_pid = 0;  // 0: it is being started
  std::string server;  // program and version
  std::string socket;
  std::string instance;
  std::vector<WorkerInfo> workers;
  std::uint64_t worker_limit = 0;   // so many are given work, at most
  std::string worker_limit_source;  // what says so: "affinity", "--workers"
  std::uint64_t memory_limit_bytes = 0;
  std::string memory_limit_source;
  std::uint64_t memory_used_bytes = 0;
  std::uint64_t memory_spare_bytes = 0;  // kept for the next arrays, besides what is used
  std::uint64_t memory_held_bytes = 0;   // of removed arrays that clients still have
  std::uint64_t memory_freeing_bytes = 0;  // that workers are giving back
  std::uint64_t arrays = 0;
  std::uint64_t jobs_queued = 0, jobs_running = 0, jobs_ended = 0;
  std::uint64_t chunks_done = 0;
  std::uint64_t sessions = 0;
  double uptime_seconds = 0;
  std::vector<UserUse> users;  // those who have most, first; a server that has many leaves some out
};

class Session {
 public:
  static Session connect(const ConnectOptions& options = {});

  // ---- arrays. An empty name makes an anonymous one.
  Array create(std::string_view name, DType dtype, std::vector<std::int64_t> shape);  // zeros
  // `value` is one element of the dtype.
  Array create_full(std::string_view name, const Scalar& value, std::vector<std::int64_t> shape);
  Array create_arange(std::string_view name, DType dtype, std::vector<std::int64_t> shape);
  // np.arange: as many elements as lie from start up to, not including, stop.
  Array create_arange(std::string_view name, DType dtype, const Number& start, const Number& stop, const Number& step);
  // np.linspace: `count` elements from start to stop, which `endpoint` includes.
  Array create_linspace(std::string_view name, DType dtype, const Number& start, const Number& stop, std::uint64_t count, bool endpoint = true);
  // np.eye: zeros, and ones where column - row is `diagonal`.
  Array create_eye(std::string_view name, DType dtype, std::uint64_t rows, std::uint64_t columns, std::int64_t diagonal = 0);
  // Copies a .npy file into shared memory; the workers read it in parallel. The other byte order is converted; float16 becomes
  // float32.
  Array import_npy(std::string_view name, const std::filesystem::path& file, const Job::Progress& progress = {});
  // Uses the file's own pages: nothing is copied, and what is written goes to the file.
  Array attach_npy(std::string_view name, const std::filesystem::path& file, bool writable = false);
  // Writes `file` anew: whole, or not at all.
  void export_npy(Array array, const std::filesystem::path& file);
  Array find(std::string_view name);
  std::vector<ArrayInfo> list();
  // What others than its owner may do with it, on a server that admits others. It takes nothing back from who has the array's memory
  // already. The owner's to say; not of attached files, whose own modes hold.
  void set_mode(std::string_view name, ArrayMode mode);
  // The name goes at once; memory that is mapped elsewhere or in use by a job goes with its last user.
  void remove(std::string_view name);
  // Takes an incomplete array as it is: it is whole from now on, whatever its elements are. False where it was whole already; throws
  // kBadData while a job is writing it.
  bool accept(std::string_view name);

  // ---- jobs
  Job submit(const Operation& operation, const SubmitOptions& options = {});
  // An expression whose names that are not among `operands` are arrays' names. Throws where what is meant is not certain: of an
  // operand that the expression does not use, of a constant ('e') while an array has its name; kNotFound of a name that stands
  // for nothing.
  Evaluate evaluate(std::string_view expression, std::vector<Evaluate::Operand> operands = {});
  Job find_job(std::uint64_t id);
  std::vector<JobInfo> jobs();

  // ---- the server
  // The socket to the server that this session speaks to, or spoke to last; -1 where it was closed.
  int descriptor() const;
  // ConnectOptions::patience, from now on.
  void set_patience(std::chrono::milliseconds patience);
  Status status();
  // Tells the server that this session speaks to to leave (kNoServer where that has gone). Named arrays stay in shared memory for the next server on the same socket, unless
  // dropped. Returns when it is gone.
  void stop_server(bool drop_arrays = false);

  struct State;
  explicit Session(std::shared_ptr<State> state) : state_(std::move(state)) {}

 private:
  std::shared_ptr<State> state_;
};

}  // namespace parcompute
