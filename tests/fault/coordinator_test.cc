// The coordinator is killed, in the middle of whatever it is doing, and another one takes over.
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "common/shm/segment_header.h"
#include "tests/fault/campaign.h"
#include "tests/fault/ledger.h"
#include "tests/fault/victims.h"

namespace parcompute::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kClients = 3;

// The processes that have the file open: for messages.
std::string holders_of(const std::string& path) {
  std::string text;
  for (const pid_t pid : process_tree(::getpid()))
    if (const std::string fds = describe_descriptors(pid); fds.find(path) != fds.npos)
      text += fmt::format("{} ({}, {}) ", pid, status_line(pid, "Name"), status_line(pid, "State"));
  return text;
}

class Coordinator : public Campaign {
 protected:
  bool is_explained(const Failure& failure) const override { return is_killed_ && failure.code() == ErrorCode::kNoServer; }

  // A server's life and death.
  void round() {
    is_killed_ = false;
    employ(kClients, [&](CampaignClient& client) {
      try {
        while (!is_dismissed()) ledgers_[client.number()].act(client);
      } catch (const Failure& failure) {
        if (!is_explained(failure)) throw;
        // The next server is not to be met before the ledgers are settled.
        client.doing("wait for the next server");
        while (!is_dismissed()) ::poll(nullptr, 0, 1);
      }
    });
    pause(60ms);
    if (one_in(dice(), 3)) harm_a_worker();
    std::vector<std::pair<pid_t, ProcessWatch>> orphans;
    for (const pid_t pid : process_tree(server_pid())) orphans.emplace_back(pid, ProcessWatch(pid));
    is_killed_ = true;
    kill_server_at_once();
    ++tallies_.faults;
    if (one_in(dice(), 2)) dismiss();
    while (one_in(dice(), 4)) kill_while_it_starts();
    begin();
    for (const auto& [pid, orphan] : orphans) {
      if (holds_within(kOrphans, [&watch = orphan] { return watch.has_ended(); })) continue;
      leaked(fmt::format("process {} ({}, {}) of the dead server lives on", pid, status_line(pid, "Name"),
                         status_line(pid, "State")));
      signal_child(::getpid(), pid, SIGKILL);
    }
    dismiss();
    reap();
    settle();
  }

  void begin() {
    try {
      start_lasting(2);
    } catch (const Failure& failure) {
      wrong(fmt::format("the next server does not start: {}; its lock is held by: {}", failure.what(),
                        holders_of(socket().native() + ".lock")));
      throw;
    }
  }

  // What the dead one left is what it may leave, and nothing besides.
  void settle() {
    auto session = connect();
    for (Ledger& ledger : ledgers_)
      if (const std::string trouble = ledger.settle(session, dice()); !trouble.empty()) wrong(trouble);
    std::uint64_t bytes = 0;
    const auto arrays = session.list();
    for (const ArrayInfo& array : arrays) {
      if (std::ranges::none_of(ledgers_, [&](const Ledger& ledger) { return ledger.knows(array.name); }))
        wrong("'" + array.name + "' was invented");
      bytes += segment_memory(array.nbytes());
    }
    // What settling left goes to the spare ones, which hold names and descriptors, too.
    use_up_spares();
    if (!holds_within(kRest, [&] { return segments().size() == arrays.size(); }))
      leaked(fmt::format("{} names in /dev/shm for {} arrays", segments().size(), arrays.size()));
    if (const std::uint64_t used = status().memory_used_bytes; used != bytes)
      leaked(fmt::format("{} bytes are in use, and the arrays have {}", used, bytes));
    if (!one_in(dice(), 4)) return;
    pool_is_whole();
    if (!holds_within(kRest, [&] { return descriptors_of(server_pid()) - session.list().size() == descriptors_; }))
      leaked(describe_descriptors(server_pid()));
    // One that lives is not put out of its place.
    expect_failure([&] { start_server(options()); }, ErrorCode::kAlreadyExists);
  }

  // One worker is dead or stopped when its server dies.
  void harm_a_worker() {
    const auto tree = process_tree(server_pid());
    if (tree.size() < 3) return;
    signal_child(tree[1], tree.back(), one_in(dice(), 2) ? SIGKILL : SIGSTOP);
  }

  // The next one is killed in the middle of its start, while it takes the arrays over.
  void kill_while_it_starts() {
    std::thread starter([options = options()] {
      try {
        start_server(options);
      } catch (const Failure&) {
        // It was killed before it was there.
      }
    });
    const auto child = [] {
      for (const pid_t pid : process_tree(::getpid()))
        if (status_line(pid, "Name") == "parcompute-serv" && status_line(pid, "PPid") == std::to_string(::getpid()) &&
            !status_line(pid, "State").starts_with('Z'))
          return pid;
      return pid_t{0};
    };
    pid_t pid = 0;
    holds_within(30s, [&] { return (pid = child()) != 0; });
    const ProcessWatch watch(pid);
    pause(8ms);
    tallies_.faults += signal_child(::getpid(), pid, SIGKILL);
    starter.join();
    if (!watch.ends_within(30s)) wrong("a killed server does not end");
  }

  ServerOptions options() const {
    ServerOptions options;
    options.socket = lasting_socket();
    options.workers = 2;
    options.memory_bytes = 256 * kMebibyte;
    options.idle_seconds = 3600;
    return options;
  }

  // What the dead left is this process's to reap.
  void reap() {
    for (pid_t pid; (pid = ::waitpid(-1, nullptr, WNOHANG)) > 0;) {
      if (pid != server_pid()) continue;
      ++tallies_.deaths;
      wrong("the next server died by itself");
    }
  }

  std::vector<Ledger> ledgers_;
  std::atomic<bool> is_killed_ = false;
  std::size_t descriptors_ = 0;  // the server's, without arrays, with one session besides the fixture's
};

TEST_F(Coordinator, IsKilledAndTheNextOneFindsWhatWasThereAndNothingElse) {
  for (std::size_t i = 0; i < kClients; ++i) ledgers_.emplace_back(i);
  begin();
  pool_is_whole();
  {
    auto session = connect();
    session.status();
    descriptors_ = descriptors_of(server_pid());
  }
  least_jobs_ = kSanitized ? 10u : 50u;
  for (std::uint64_t rounds = 0; goes_on(rounds, kSanitized ? 10 : 40); ++rounds) round();
  auto session = connect();
  for (Ledger& ledger : ledgers_) ledger.remove_all(session);
  use_up_spares();
  if (!holds_within(kRest, [&] { return segments().empty(); })) leaked("names stay in /dev/shm");
  EXPECT_GT(tallies_.jobs, least_jobs_);
}

}  // namespace
}  // namespace parcompute::testing
