#include "tests/support/copy_pool.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <thread>
#include <utility>

#include "common/os/child_process.h"
#include "common/os/system_error.h"

namespace parcompute {
namespace {

// Below so many bytes a message fits into the socket's buffer: sending it never waits for the worker, and a
// thread would cost more than it could save.
constexpr std::size_t kSmallBytes = 64 * 1024;

Result<void> hand_over(int socket, const CopyTask& task) {
  MessageHead head;
  head.op = task.op;
  head.mandelbrot = task.mandelbrot;
  const FreshBytes message = serialize(head, task.arrays);
  return send_message(socket, message.span());
}

Result<CopyAnswer> take_back(int socket) {
  auto bytes = receive_message(socket);
  if (!bytes) return fail(bytes.error());
  auto message = deserialize(bytes->span());
  if (!message) return fail(message.error());
  if (message->arrays.size() != 1) return fail(ErrorCode::kBadData, "a copy worker's answer holds no array");
  return CopyAnswer{std::move(message->arrays[0]), message->head.busy_seconds};
}

std::size_t bytes_of(std::span<const CopyTask> tasks) {
  std::size_t bytes = 0;
  for (const CopyTask& task : tasks)
    for (const ArrayRef& array : task.arrays) bytes += array.bytes.size();
  return bytes;
}

}  // namespace

Result<CopyPool> CopyPool::start(unsigned workers) {
  const auto program = find_program("parcompute-copy-worker", "PARCOMPUTE_COPY_WORKER");
  if (!program) return fail(program.error());
  CopyPool pool;
  for (unsigned i = 0; i < workers; ++i) {
    int sockets[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
      return fail(system_error("create", "a socket pair for a copy worker", errno));
    UniqueFd ours(sockets[0]), theirs(sockets[1]);
    // One thread for each process: the pool is the parallelism, as it is the service's.
    SpawnOptions options;
    options.inherited = {theirs.get()};
    options.environment = {"OPENBLAS_NUM_THREADS=1"};
    const auto pid = spawn(*program, {std::to_string(theirs.get())}, options);
    if (!pid) return fail(pid.error());
    pool.workers_.push_back({std::move(ours), *pid});
  }
  // A first message each: programs are loaded and libraries initialised before anything is measured.
  const std::byte zero{0};
  const CopyTask hello{CopyOp::kSum, {{DType::kUint8, {1}, {&zero, 1}}}, {}};
  for (const Worker& worker : pool.workers_) {
    if (auto sent = hand_over(worker.socket.get(), hello); !sent) return fail(sent.error());
    if (auto answer = take_back(worker.socket.get()); !answer) return fail(answer.error());
  }
  return pool;
}

CopyPool::~CopyPool() {
  for (Worker& worker : workers_) worker.socket.reset();
  for (const Worker& worker : workers_)
    while (::waitpid(worker.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
}

Result<std::vector<CopyAnswer>> CopyPool::map(std::span<const CopyTask> tasks) {
  std::vector<CopyAnswer> answers(tasks.size());
  if (tasks.size() <= workers_.size() && bytes_of(tasks) <= kSmallBytes) {
    for (std::size_t i = 0; i < tasks.size(); ++i)
      if (auto sent = hand_over(workers_[i].socket.get(), tasks[i]); !sent) return fail(sent.error());
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      auto answer = take_back(workers_[i].socket.get());
      if (!answer) return fail(answer.error());
      answers[i] = std::move(*answer);
    }
    return answers;
  }

  std::atomic<std::size_t> next{0};
  std::vector<Result<void>> outcomes(workers_.size());
  const auto serve = [&](std::size_t worker) {
    const int socket = workers_[worker].socket.get();
    for (std::size_t i = next++; i < tasks.size(); i = next++) {
      outcomes[worker] = hand_over(socket, tasks[i]);
      if (!outcomes[worker]) return;
      auto answer = take_back(socket);
      if (!answer) {
        outcomes[worker] = fail(answer.error());
        return;
      }
      answers[i] = std::move(*answer);
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t worker = 1; worker < workers_.size(); ++worker) threads.emplace_back(serve, worker);
    serve(0);
  }
  for (const auto& outcome : outcomes)
    if (!outcome) return fail(outcome.error());
  return answers;
}

}  // namespace parcompute
