#include "tests/fault/campaign.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include <fmt/format.h>

#include "common/shm/segment_header.h"
#include "tests/support/calm_time.h"

namespace parcompute::testing {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

// No call takes so long on a server that makes progress.
constexpr auto kDeadline = std::chrono::seconds(kSanitized ? 60 : 30);
constexpr std::size_t kMaxTroubles = 10;

std::optional<std::string> variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

// Kills -> kills, PoolKills -> pool_kills: the campaign's name for tests/run.
std::string campaign_name() {
  std::string name;
  for (const char* letter = ::testing::UnitTest::GetInstance()->current_test_info()->test_suite_name(); *letter != '\0';
       ++letter) {
    if (*letter >= 'A' && *letter <= 'Z') {
      if (!name.empty()) name += '_';
      name += static_cast<char>(*letter - 'A' + 'a');
    } else {
      name += *letter;
    }
  }
  return name;
}

// Names in /dev/shm that are gone and whose memory the process still holds.
std::size_t dead_mappings(pid_t pid) {
  std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);) count += line.find("/dev/shm/") != line.npos && line.ends_with("(deleted)");
  return count;
}

}  // namespace

// ---- clients

CampaignClient::CampaignClient(Campaign& campaign, std::size_t number, std::uint64_t seed)
    : campaign_(campaign), number_(number), dice_(seed) {}

std::string CampaignClient::new_name() {
  return fmt::format("c{}-{}", number_, ++last_name_);
}

void CampaignClient::doing(std::string what) {
  const std::lock_guard lock(mutex_);
  doing_ = std::move(what);
  since_ = Clock::now();
  is_busy_ = true;
}

bool CampaignClient::attempt(const std::string& what, const std::function<void()>& call) {
  doing(what);
  try {
    call();
    return true;
  } catch (const Failure& failure) {
    if (!campaign_.is_explained(failure)) throw Failure(failure.code(), what + ": " + failure.what());
    ++campaign_.tallies_.explained;
    return false;
  }
}

JobResult CampaignClient::wait(Job& job) {
  JobResult result = job.wait({}, kDeadline);
  ++campaign_.tallies_.jobs;
  campaign_.tallies_.retries += result.info.retries;
  return result;
}

void CampaignClient::wrong(const std::string& what) {
  campaign_.wrong(fmt::format("client {}: {}", number_, what));
}

void Campaign::employ(std::size_t clients, std::function<void(CampaignClient&)> life) {
  dismissed_ = false;
  for (std::size_t number = 0; number < clients; ++number) {
    const std::uint64_t seed = dice_();
    CampaignClient& client = *clients_.emplace_back(std::make_unique<CampaignClient>(*this, clients_.size(), seed));
    threads_.emplace_back([this, &client, life] {
      while (!dismissed_) {
        try {
          client.doing("connect");
          client.session_ = connect(fmt::format("client {}", client.number_));
          life(client);
          client.doing("leave");
          client.session_.reset();
        } catch (const Failure& failure) {
          if (failure.code() == ErrorCode::kTimeout) ++tallies_.stuck;
          if (!is_explained(failure)) client.wrong(failure.what());
        } catch (const std::exception& error) {
          client.wrong(error.what());
        }
        client.session_.reset();
      }
      const std::lock_guard lock(client.mutex_);
      client.is_busy_ = false;
    });
  }
}

void Campaign::dismiss() {
  dismissed_ = true;
  const auto is_busy = [](const auto& client) {
    const std::lock_guard lock(client->mutex_);
    return client->is_busy_;
  };
  // A thread that is stuck cannot be joined: that ends the campaign from within.
  while (std::ranges::any_of(clients_, is_busy)) pause(1ms);
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  clients_.clear();
}

void Campaign::look_for_stuck_clients() {
  for (const auto& client : clients_) {
    const std::lock_guard lock(client->mutex_);
    if (!client->is_busy_ || Clock::now() - client->since_ < kDeadline + 5s) continue;
    ++tallies_.stuck;
    std::fprintf(stderr, "client %zu is stuck: %s\n%s\n%s\n", client->number_, client->doing_.c_str(), tell().c_str(),
                 how_to_repeat().c_str());
    ::raise(SIGALRM);  // as the watchdog does
  }
}

bool Campaign::is_by_third_death(const Failure& failure) {
  const std::string words = failure.what();
  const auto says = [&](const char* part) { return words.find(part) != words.npos; };
  switch (failure.code()) {
    case ErrorCode::kComputationFailed:
      return says("3 workers died computing blocks");
    // What came behind such a job.
    case ErrorCode::kCancelled:
      return says("did not succeed") || says("is incomplete still");
    case ErrorCode::kBadData:
      return says("is incomplete: the job that was writing it was cancelled, failed, or was cut off");
    default:
      return false;
  }
}

void Campaign::wrong(const std::string& what) {
  ++tallies_.wrong;
  is_over_ = dismissed_ = true;
  const std::lock_guard lock(mutex_);
  if (troubles_.size() < kMaxTroubles) troubles_.push_back(what);
}

void Campaign::leaked(const std::string& what) {
  ++tallies_.leaks;
  is_over_ = true;
  const std::lock_guard lock(mutex_);
  if (troubles_.size() < kMaxTroubles) troubles_.push_back(what);
}

// ---- length

void Campaign::SetUp() {
  ServerTest::SetUp();
  // Each death is a warning in the server's log.
  ASSERT_EQ(::setenv("PARCOMPUTE_LOG", "error", 0), 0);
  const auto seconds = variable("PARCOMPUTE_CAMPAIGN_SECONDS");
  const auto seed = variable("PARCOMPUTE_CAMPAIGN_SEED");
  if (seconds) seconds_ = std::stod(*seconds);
  seed_ = seed ? std::stoull(*seed) : std::random_device{}();
  dice_.seed(seed_);
  started_ = Clock::now();
  std::printf("campaign %s, seed %llu\n", campaign_name().c_str(), static_cast<unsigned long long>(seed_));
  std::fflush(stdout);
}

void Campaign::TearDown() {
  if (!threads_.empty()) dismiss();
  std::printf("%s\n", tell().c_str());
  EXPECT_EQ(tallies_.wrong, 0u);
  EXPECT_EQ(tallies_.stuck, 0u);
  EXPECT_EQ(tallies_.leaks, 0u);
  EXPECT_EQ(tallies_.deaths, 0u);
  for (const std::string& trouble : troubles_) ADD_FAILURE() << trouble;
  ServerTest::TearDown();
  if (HasFailure()) std::printf("%s\n", how_to_repeat().c_str());
  std::fflush(stdout);
}

bool Campaign::has_worked() {
  const std::uint64_t before = std::exchange(worked_, tallies_.jobs);
  return worked_ != before;
}

double Campaign::elapsed_seconds() const {
  return std::chrono::duration<double>(Clock::now() - started_).count();
}

bool Campaign::goes_on(std::uint64_t done, std::uint64_t enough) {
  if (is_over_) return false;
  return seconds_ ? elapsed_seconds() < *seconds_ : done < enough || tallies_.jobs <= least_jobs_;
}

void Campaign::pause(std::chrono::microseconds mean) {
  std::exponential_distribution<double> distribution(1.0 / static_cast<double>(mean.count()));
  const auto end = Clock::now() + std::chrono::microseconds(static_cast<std::int64_t>(distribution(dice_)));
  do {
    rearm_watchdog();
    look_for_stuck_clients();
    const auto left = std::clamp<std::int64_t>(std::chrono::nanoseconds(end - Clock::now()).count(), 0, 100'000'000);
    const timespec time{0, static_cast<long>(left)};
    ::ppoll(nullptr, 0, &time, nullptr);
  } while (Clock::now() < end);
}

std::string Campaign::tell() const {
  return fmt::format(
      "{}: {:.1f} s, {} faults, {} jobs ({} chunks computed again, {} failed as the faults explain); wrong {}, stuck {}, leaks "
      "{}, deaths {}",
      campaign_name(), elapsed_seconds(), tallies_.faults.load(), tallies_.jobs.load(), tallies_.retries.load(),
      tallies_.explained.load(), tallies_.wrong.load(), tallies_.stuck.load(), tallies_.leaks.load(), tallies_.deaths.load());
}

std::string Campaign::how_to_repeat() const {
  return fmt::format("to repeat: tests/run --campaign {} --seconds {:.0f} --seed {}", campaign_name(),
                     std::max(seconds_.value_or(0), elapsed_seconds() + 30), seed_);
}

// ---- before and after

std::string Campaign::Rest::describe() const {
  return fmt::format("{} descriptors, {} names in /dev/shm, {} processes, {} arrays, {} bytes, {} sessions", descriptors,
                     segments, processes, arrays, memory, sessions);
}

Campaign::Rest Campaign::look() {
  const Status now = status();
  const auto tree = process_tree(now.server_pid);
  return {now.server_pid, descriptors_of(now.server_pid), segments().size(), tree.size(),
          now.arrays,     now.memory_used_bytes,          now.sessions};
}

void Campaign::remember_rest() {
  pool_is_whole();
  use_up_spares();
  others_are_gone();
  rest_ = look();
}

void Campaign::use_up_spares() {
  const auto ask_for_all = [&] {
    const Status now = status();
    if (now.memory_spare_bytes == 0) return true;
    std::uint64_t bytes = now.memory_limit_bytes - now.memory_used_bytes;
    bytes -= segment_memory(bytes) - bytes;
    try {
      auto session = connect();
      session.create("", DType::kUint8, {static_cast<std::int64_t>(bytes)});
    } catch (const Failure& failure) {
      // Another job's memory went back to the spare ones meanwhile, or what was dropped is not free in /dev/shm yet.
      if (failure.code() != ErrorCode::kOverBudget) throw;
    }
    return status().memory_spare_bytes == 0;
  };
  EXPECT_TRUE(holds_within(kRest, ask_for_all)) << status().memory_spare_bytes << " bytes stay spare";
}

bool Campaign::holds_within(std::chrono::milliseconds patience, const std::function<bool()>& condition) {
  const auto last = calm_time() + patience;
  const auto end = Clock::now() + 60s;
  while (!condition()) {
    if (calm_time() > last || Clock::now() > end) return false;
    pause(1ms);
  }
  return true;
}

void Campaign::expect_rest() {
  const pid_t server = rest_.server;
  const Status whole = pool_is_whole();
  if (whole.server_pid != server) {
    ++tallies_.deaths;
    return;
  }
  // Sessions that just ended are still being closed: then their memory becomes spare.
  holds_within(kRest, [&] { return look().arrays == rest_.arrays && status().jobs_running + status().jobs_queued == 0; });
  use_up_spares();
  Rest now;
  if (!holds_within(kRest, [&] { return (now = look()) == rest_; }))
    leaked(fmt::format("before: {}; afterwards: {}\n{}", rest_.describe(), now.describe(), describe_descriptors(server)));
  std::size_t dead = 0;
  const auto workers_hold_none = [&] {
    dead = 0;
    for (const WorkerInfo& worker : status().workers) dead += dead_mappings(worker.pid);
    return dead == 0;
  };
  if (!holds_within(kRest, workers_hold_none)) leaked(fmt::format("workers hold {} segments that are gone", dead));
  auto session = connect();
  auto array = session.create_arange("", DType::kInt64, {1'000'000});
  const auto sum = session.submit(Reduce{.a = array}).wait().scalar->as<std::int64_t>();
  if (sum != std::int64_t{999'999} * 500'000) wrong(fmt::format("the next job's sum is {}", sum));
}

}  // namespace parcompute::testing
