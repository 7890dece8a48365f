#include "tests/fault/failing_calls_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <iostream>
#include <new>
#include <set>

#include <fmt/format.h>

namespace parcompute::testing {
namespace {

using namespace std::chrono_literals;
constexpr auto kLiftAfter = 250ms;
constexpr auto kHangsAfter = 20s;
constexpr auto kSettlesWithin = 30s;
constexpr unsigned kWatchdogSeconds = 100;

constexpr const char* kNoMemoryHere = "std::bad_alloc";

void pause_ms(int duration) {
  ::poll(nullptr, 0, duration);
}

}  // namespace

std::string describe(const Fault& fault) {
  if (fault.call == Call::kNone) return "no call fails";
  return fmt::format("{}. {} of the {} fails with {}{}", fault.nth,
                     name_of(fault.call), name_of(fault.role), ::strerrorname_np(fault.error),
                     fault.sticky ? ", and all after it" : "");
}

// ---- patience ------------------------------------------------------------------------------------------------

Patience::Patience() : thread_([this] { watch(); }) {}

Patience::~Patience() {
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Patience::begin(FailingCallsPage& page, pid_t server) {
  {
    const std::lock_guard lock(mutex_);
    page_ = &page;
    server_ = server;
    hung_ = false;
    ++turn_;
  }
  changed_.notify_all();
}

bool Patience::end() {
  const std::lock_guard lock(mutex_);
  page_ = nullptr;
  ++turn_;
  return !hung_;
}

void Patience::watch() {
  std::unique_lock lock(mutex_);
  while (!leaving_) {
    if (page_ == nullptr) {
      changed_.wait(lock);
      continue;
    }
    const auto turn = turn_;
    const auto is_over = [&] { return leaving_ || turn_ != turn; };
    const auto started = std::chrono::steady_clock::now();
    // A failure that nobody has met yet keeps nobody waiting, however slow the machine is.
    bool has_ended = false;
    do has_ended = changed_.wait_for(lock, kLiftAfter, is_over);
    while (!has_ended && page_->failed == 0 && std::chrono::steady_clock::now() < started + kHangsAfter);
    if (has_ended) continue;
    page_->armed = false;
    if (changed_.wait_until(lock, started + kHangsAfter, is_over)) continue;
    hung_ = true;
    kill_now(server_);
    changed_.wait(lock, is_over);
  }
}

// ---- the fixture ---------------------------------------------------------------------------------------------

void FailingCallsTest::SetUp() {
  if (kSanitized) GTEST_SKIP() << "a sanitizer stands between the program and libc itself";
  ServerTest::SetUp();
  // The same share each time where nobody asks for another: who changes something else shall not meet a hole that was there before.
  const char* chosen = std::getenv("PARCOMPUTE_FAULT_SEED");
  const std::string_view wanted(chosen != nullptr ? chosen : "1");
  const std::uint64_t seed = wanted == "random" ? std::random_device{}() : std::strtoull(wanted.data(), nullptr, 10);
  std::cout << "PARCOMPUTE_FAULT_SEED=" << seed << "\n";
  random_.seed(seed);

  const std::string path = directory() / "page";
  const UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_TRUE(file);
  ASSERT_EQ(::ftruncate(file.get(), sizeof(FailingCallsPage)), 0);
  void* mapped = ::mmap(nullptr, sizeof(FailingCallsPage), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  page_ = static_cast<FailingCallsPage*>(mapped);
  parcompute_failing_calls_attach(page_);
  ::setenv(kFailingCallsVariable, path.c_str(), 1);
  ::setenv("LD_PRELOAD", PARCOMPUTE_FAILING_CALLS_LIBRARY, 1);
  patience_ = std::make_unique<Patience>();
}

void FailingCallsTest::TearDown() {
  if (kSanitized) return;
  disarm();
  patience_.reset();
  ServerTest::TearDown();
  ::unsetenv("LD_PRELOAD");
  ::unsetenv(kFailingCallsVariable);
  parcompute_failing_calls_attach(nullptr);
  ::munmap(page_, sizeof(FailingCallsPage));
}

bool FailingCallsTest::all() {
  return std::getenv("PARCOMPUTE_FAULT_ALL") != nullptr;
}

void FailingCallsTest::serve(std::optional<std::uint64_t> spare_bytes) {
  keeps_spares_ = spare_bytes != 0;
  start_lasting(2, 3600, spare_bytes);
  pid_ = server_pid();
  Session session = connect();
  if (status().arrays == 0) make_operands(session, directory().path());
  pool_is_whole();
}

std::vector<FaultyRequest> FailingCallsTest::requests() {
  auto all = faulty_requests(directory().path());
  all.push_back({"open a session", [this](Session&) { connect("another").status(); }});
  all.push_back({"replace a worker", [](Session& session) {
                   const pid_t worker = session.status().workers.at(0).pid;
                   kill_now(worker);
                   const auto is_replaced = [&] {
                     const auto now = session.status().workers.at(0);
                     return now.pid != worker && now.state != WorkerInfo::State::kStarting;
                   };
                   while (!is_replaced()) pause_ms(5);
                 }});
  return all;
}

void FailingCallsTest::arm(const Fault& fault) {
  page_->call = fault.call;
  page_->role = fault.role;
  page_->error = fault.error;
  page_->nth = fault.nth;
  page_->sticky = fault.sticky;
  page_->met = 0;
  page_->failed = 0;
  for (auto& row : page_->seen)
    for (auto& counter : row) counter = 0;
  page_->armed = true;
}

std::uint64_t FailingCallsTest::count(Role role, Call call) const {
  return page_->seen[static_cast<std::size_t>(role)][static_cast<std::size_t>(call)];
}

FailingCallsTest::Before FailingCallsTest::look() {
  const Status now = status();
  // Each spare segment is a segment and a descriptor, and goes when its time has come.
  const std::size_t descriptors = keeps_spares_ ? 0 : descriptors_of(pid_);
  const std::size_t names = keeps_spares_ ? 0 : segments().size();
  return {descriptors, names, now.memory_used_bytes, now.arrays, now.sessions + now.jobs_queued + now.jobs_running};
}

std::string FailingCallsTest::run(const FaultyRequest& request, Session& session, bool& wrong) {
  try {
    request.run(session);
    return "done";
  } catch (const WrongResult& result) {
    wrong = true;
    return fmt::format("wrong: {}", result.what());
  } catch (const Failure& failure) {
    wrong = std::string_view(failure.what()).empty();
    return fmt::format("{}: {}", error_code_name(failure.code()), failure.what());
  } catch (const std::bad_alloc&) {
    wrong = page_->role != Role::kClient || page_->call != Call::kAllocate;
    return kNoMemoryHere;
  } catch (const std::exception& exception) {
    wrong = true;
    return fmt::format("no Failure, but: {}", exception.what());
  }
}

FailingCallsTest::Before FailingCallsTest::look_at_last() {
  others_are_gone();
  Before last = look();
  for (int unchanged = 0; unchanged < 100; ++unchanged) {
    pause_ms(2);
    const Before now = look();
    if (now == last) continue;
    last = now;
    unchanged = 0;
  }
  return last;
}

std::uint64_t FailingCallsTest::attempt(const FaultyRequest& request, const Fault& fault) {
  ::alarm(kWatchdogSeconds);
  if (before_ == Before{}) before_ = look_at_last();
  const std::string what = fmt::format("{}, while {}", request.name, describe(fault));
  bool wrong = false;
  std::string outcome;
  bool hung = false;
  {
    Session session = connect();
    arm(fault);
    patience_->begin(*page_, pid_);  // which lifts what was armed before
    outcome = run(request, session, wrong);
    disarm();
    hung = !patience_->end();
    if (outcome == kNoMemoryHere) outcome += expect_session_is_usable(session);
  }
  const std::uint64_t failed = page_->failed;
  EXPECT_FALSE(wrong) << what << ": " << outcome;
  look_at_rest(request, outcome != "done", what + ": " + outcome);
  EXPECT_FALSE(hung) << what << ": it never ended";
  static std::set<std::string> told;
  const std::string story = fmt::format("{} | {} of the {} | {}", request.name, name_of(fault.call), name_of(fault.role), outcome);
  if (std::getenv("PARCOMPUTE_FAULT_STORIES") != nullptr && failed > 0 && told.insert(story).second) std::cout << story << std::endl;

  try {
    // A worker that came without its pidfd is one descriptor less in the server for as long as it lives.
    if (failed > 0 && (fault.call == Call::kPidfd || fault.call == Call::kReceiveFds)) replace_workers();
    expect_as_before(what);
    if (failed == 0) return 0;
    Session session = connect();
    outcome = run(request, session, wrong);
    EXPECT_EQ(outcome, "done") << "the next one after: " << what;
    look_at_rest(request, outcome != "done", "the next one after: " + what);
  } catch (const Failure& failure) {
    ADD_FAILURE() << what << ": the server has ended: " << failure.what() << "; its last words:\n" << last_log_lines();
    const ProcessWatch watch(pid_);
    kill_now(pid_);
    EXPECT_TRUE(watch.ends_within(kHangsAfter));
    serve(keeps_spares_ ? std::nullopt : std::optional<std::uint64_t>(0));
    remove_what_was_made();
    return failed;
  }
  return failed;
}

// After an allocation of the client's own has failed its session goes on, or says that it cannot.
std::string FailingCallsTest::expect_session_is_usable(Session& session) {
  patience_->begin(*page_, pid_);
  std::string how;
  try {
    how = session.status().server_pid == pid_ ? ", and the session goes on" : ", and the session is mixed up";
    EXPECT_EQ(session.find(kBase).info().name, kBase);
  } catch (const Failure& failure) {
    how = fmt::format(", and then {}: {}", error_code_name(failure.code()), failure.what());
  }
  EXPECT_TRUE(patience_->end()) << "a request never ended after an allocation of the client's had failed";
  return how;
}

void FailingCallsTest::look_at_rest(const FaultyRequest& request, bool has_thrown, const std::string& what) {
  try {
    if (request.look) request.look(has_thrown);
  } catch (const WrongResult& result) {
    ADD_FAILURE() << what << ", and wrong: " << result.what();
  }
}

void FailingCallsTest::replace_workers() {
  const auto old = worker_pids();
  for (const pid_t pid : old) kill_now(pid);
  const auto are_new = [&] { return std::ranges::none_of(worker_pids(), [&](pid_t pid) { return std::ranges::count(old, pid) > 0; }); };
  until(are_new, "new workers");
}

void FailingCallsTest::remove_what_was_made() {
  Session session = connect();
  for (const ArrayInfo& array : session.list())
    if (array.name.starts_with("made")) session.remove(array.name);
}

void FailingCallsTest::expect_as_before(const std::string& what) {
  const auto until = std::chrono::steady_clock::now() + kSettlesWithin;
  Before now;
  while (true) {
    remove_what_was_made();
    pool_is_whole();
    now = look();
    if (now == before_) return;
    if (std::chrono::steady_clock::now() > until) break;
    pause_ms(1);
  }
  ADD_FAILURE() << what << ": left behind (now/before): descriptors " << now.descriptors << "/" << before_.descriptors << ", segments " << now.segments << "/"
                << before_.segments << ", memory " << now.memory << "/" << before_.memory << ", arrays " << now.arrays << "/" << before_.arrays
                << ", sessions and jobs " << now.sessions << "/" << before_.sessions << "\n"
                << describe_descriptors(pid_) << last_log_lines();
  before_ = now;
}

std::string FailingCallsTest::last_log_lines() const {
  std::ifstream log(lasting_socket().native() + ".log");
  std::deque<std::string> lines;
  for (std::string line; std::getline(log, line);) {
    lines.push_back(line);
    if (lines.size() > 8) lines.pop_front();
  }
  std::string text;
  for (const std::string& line : lines) text += "  " + line + "\n";
  return text;
}

}  // namespace parcompute::testing
