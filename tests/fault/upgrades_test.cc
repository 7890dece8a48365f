// The server is told to leave, and the next one starts on its socket, again and again, while clients work.
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <numeric>

#include <fmt/format.h>

#include "common/shm/segment_header.h"
#include "tests/fault/campaign.h"
#include "tests/fault/victims.h"

namespace parcompute::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kClients = 3;
constexpr int kKept = 6;

class Upgrades : public Campaign {
 protected:
  // Every server is waited for, and its exit status looked at: one that is gone was told to go.
  bool is_explained(const Failure& failure) const override {
    return failure.code() == ErrorCode::kNoServer ||
           (failure.code() == ErrorCode::kCancelled && std::string_view(failure.what()).find("server is stopping") != std::string_view::npos);
  }

  static std::string kept(std::uint64_t number) { return fmt::format("kept-{}", number); }
  static std::int64_t size_of(std::uint64_t number) { return std::int64_t{1} << (3 * number + 1); }  // to half a MiB
  static bool holds(Array& array, std::int64_t first) {
    const auto view = array.view<const std::int64_t>();
    for (std::size_t i = 0; i < view.size(); ++i)
      if (view[i] != first + static_cast<std::int64_t>(i)) return false;
    return true;
  }

  void make_kept() {
    auto session = connect();
    for (std::uint64_t i = 0; i < kKept; ++i) session.create_arange(kept(i), DType::kInt64, {size_of(i)});
  }
  void look_at_kept() {
    auto session = connect();
    for (std::uint64_t i = 0; i < kKept; ++i) {
      auto array = session.find(kept(i));
      if (array.info().incomplete || array.size() != static_cast<std::size_t>(size_of(i)) || !holds(array, 0)) wrong(kept(i) + " is not as it was");
    }
  }

  // ---- clients
  void work(CampaignClient& client) {
    const std::uint64_t number = below(client.dice(), kKept);
    client.doing("find " + kept(number));
    Array mapped = client.session().find(kept(number));
    mapped.view<const std::int64_t>();
    // Mostly it is the same session that goes on, with the next server.
    while (!is_dismissed() && !one_in(client.dice(), 5)) {
      try {
        while (!is_dismissed()) one_in(client.dice(), 3) ? count_up(client) : add_up(client);
      } catch (const Failure& failure) {
        // A view stays valid, whatever becomes of the server that gave it.
        if (!holds(mapped, 0)) client.wrong("a view of " + kept(number) + " changed while servers did");
        if (!is_explained(failure)) throw;
        ++tallies_.explained;
        ::poll(nullptr, 0, 1);
      }
    }
  }
  void add_up(CampaignClient& client) {
    const std::uint64_t number = below(client.dice(), kKept);
    const std::int64_t n = size_of(number);
    client.doing("the sum of " + kept(number));
    SubmitOptions options;
    options.chunk_blocks = below(client.dice(), 3);
    Job job = client.session().submit(Reduce{.a = client.session().find(kept(number))}, options);
    if (client.wait(job).scalar->as<std::int64_t>() != n * (n - 1) / 2) client.wrong("the sum of " + kept(number));
  }
  // An array of this client's own, one more in each element by each job that was answered. Of one that was not, nobody knows; but
  // it has counted wholly, or not at all, or the array is marked.
  void count_up(CampaignClient& client) {
    const std::string name = fmt::format("count-{}", client.number());
    std::int64_t& count = counts_[client.number()];
    client.doing("look at " + name);
    if (count < 0) {
      const auto arrays = client.session().list();
      const auto found = std::ranges::find(arrays, name, &ArrayInfo::name);
      if (found != arrays.end()) client.session().remove(name);
      client.session().create_arange(name, DType::kInt64, {kCounts});
      count = 0;
    }
    Array array = client.session().find(name);
    if (is_open_[client.number()]) {
      is_open_[client.number()] = false;
      if (array.info().incomplete) {
        count = -1;
        return;
      }
      if (holds(array, count + 1)) ++count;
    }
    if (!holds(array, count)) client.wrong(fmt::format("{} is not {} everywhere", name, count));
    SubmitOptions options;
    options.into = array;
    options.chunk_blocks = 1;
    client.doing("count " + name + " up");
    is_open_[client.number()] = true;
    Job job = client.session().submit(Evaluate{"a + 1", {{"a", array}}, {}}, options);
    client.wait(job);
    is_open_[client.number()] = false;
    ++count;
  }

  // ---- the server
  void upgrade() {
    const pid_t old = server_pid();
    const double from = elapsed_seconds();
    if (one_in(dice(), 2)) {
      connect().stop_server(false);
    } else if (!signal_child(::getpid(), old, SIGTERM)) {
      return wrong("the server has gone by itself");
    }
    int outcome = 0;
    if (!holds_within(30s, [&] { return ::waitpid(old, &outcome, WNOHANG) == old; })) return wrong("the server does not leave");
    if (!WIFEXITED(outcome) || WEXITSTATUS(outcome) != 0) wrong(fmt::format("the server left with status {:#x}", outcome));
    start_lasting(2);
    slowest_ = std::max(slowest_, elapsed_seconds() - from);
    ++tallies_.faults;
  }

  void settle() {
    auto session = connect();
    session.status();
    const auto arrays = session.list();
    std::uint64_t bytes = 0;
    for (const ArrayInfo& array : arrays) {
      bytes += segment_memory(array.nbytes());
      if (!array.name.starts_with("kept-") && !array.name.starts_with("count-")) wrong("'" + array.name + "' was invented");
    }
    use_up_spares();
    if (!holds_within(kRest, [&] { return segments().size() == arrays.size(); }))
      leaked(fmt::format("{} names in /dev/shm for {} arrays", segments().size(), arrays.size()));
    if (const std::uint64_t used = status().memory_used_bytes; used != bytes) leaked(fmt::format("{} bytes are in use, and the arrays have {}", used, bytes));
  }

  static constexpr std::int64_t kCounts = 50'000;
  std::array<std::int64_t, kClients> counts_{};
  std::array<bool, kClients> is_open_{};
  double slowest_ = 0;
};

TEST_F(Upgrades, LoseNoNamedArrayAndNoAnswerThatWasGiven) {
  counts_.fill(-1);
  start_lasting(2);
  make_kept();
  least_jobs_ = kSanitized ? 10u : 100u;
  while (goes_on(tallies_.faults, kSanitized ? 10 : 60)) {
    employ(kClients, [&](CampaignClient& client) { work(client); });
    for (int i = 0; i < 10 && !is_over(); ++i) {
      pause(30ms);
      upgrade();
      look_at_kept();
    }
    dismiss();
    settle();
  }
  std::printf("service was back after %.0f ms at the most\n", slowest_ * 1e3);
  EXPECT_LT(slowest_, is_measured() ? 1 : 30) << "the next server did not find its place";
  EXPECT_GT(tallies_.jobs, least_jobs_);
  EXPECT_GT(tallies_.explained, 0u) << "nobody noticed";
}

}  // namespace
}  // namespace parcompute::testing
