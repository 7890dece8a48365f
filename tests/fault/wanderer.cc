#include "tests/fault/wanderer.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <random>
#include <utility>

#include <fmt/format.h>

#include "client/cpp/parcompute.h"

namespace parcompute::testing {
namespace {

constexpr std::size_t kMaxHeld = 6;

class Wanderer {
 public:
  Wanderer(const std::filesystem::path& socket, std::uint64_t seed) : seed_(seed), dice_(seed) {
    connect_.socket = socket;
    connect_.start_embedded = false;
    connect_.client_name = "wanderer";
  }

  // One thing; answers what is wrong with it.
  std::string act() {
    if (!session_ || roll(40) == 0) begin_anew();
    switch (roll(10)) {
      case 0:
        return hold_a_view();
      case 1:
        return count_in_place();
      case 2:
        return leave_a_job_alone();
      case 3:
        return leave_an_endless_job();
      case 4:
        return flood();
      case 5:
        return detach();
      case 6:
        return write_where_others_write();
      case 7:
        return make_something_of_open_length();
      default:
        return sum_up();
    }
  }

 private:
  std::uint64_t roll(std::uint64_t count) { return dice_() % count; }

  void begin_anew() {
    arrays_.clear();
    jobs_.clear();
    session_.reset();
    session_ = Session::connect(connect_);
  }
  Array source() { return session_->find(kWandererSource); }
  Job evaluate(const char* text, const Array& x, const SubmitOptions& options = {}) {
    return session_->submit(Evaluate{text, {{"x", x}}, {}}, options);
  }
  void keep(Job job) {
    jobs_.push_back(std::move(job));
    if (jobs_.size() > kMaxHeld) jobs_.pop_front();
  }

  std::string hold_a_view() {
    auto array = session_->create("", DType::kUint8, {static_cast<std::int64_t>(1 + roll(1'000'000))});
    std::ranges::fill(array.view<std::uint8_t>(), std::uint8_t{7});
    arrays_.push_back(std::move(array));
    if (arrays_.size() > kMaxHeld) arrays_.pop_front();
    return "";
  }
  std::string count_in_place() {
    auto array = session_->create_arange("", DType::kInt64, {100'000});
    SubmitOptions options;
    options.into = array;
    std::deque<Job> jobs;
    for (int i = 0; i < 4; ++i) jobs.push_back(evaluate("x + 1", array, options));
    for (Job& job : jobs) job.wait();
    const auto view = array.view<const std::int64_t>();
    for (std::int64_t i = 0; i < 100'000; ++i)
      if (view[static_cast<std::size_t>(i)] != i + 4)
        return fmt::format("element {} is {} after four jobs", i, view[static_cast<std::size_t>(i)]);
    return "";
  }
  std::string leave_a_job_alone() {
    keep(evaluate("sqrt(x) + sin(x)", source()));
    return "";
  }
  std::string leave_an_endless_job() {
    SubmitOptions options;
    options.max_workers = 1;
    Job job = session_->submit(Nop{std::uint64_t{1} << 47}, options);
    for (std::uint64_t i = roll(10); i > 0; --i) sum_up();
    job.cancel();
    return "";
  }
  // Answers pile up: nobody reads them for a while.
  std::string flood() {
    std::deque<Job> jobs;
    for (std::uint64_t i = roll(300); i > 0; --i) jobs.push_back(session_->submit(Nop{1}));
    if (roll(2) == 0 || jobs.empty()) return "";
    return jobs.back().wait().info.state == JobState::kDone ? "" : "a job of no work did not end well";
  }
  std::string detach() {
    SubmitOptions options;
    options.detach = true;
    options.output = fmt::format("{}{}-{}", kWandererPrefix, seed_, ++last_name_);
    Job job = evaluate("x * 2", source(), options);
    if (roll(3) == 0) return "";
    job.wait();
    session_->remove(options.output);
    return "";
  }
  std::string write_where_others_write() {
    SubmitOptions options;
    options.into = session_->find(kWandererTarget);
    if (options.into.info().incomplete) {
      evaluate("x", source(), options).wait();
    } else {
      keep(evaluate("x + 1", options.into.viewed("[::-1]"), options));
    }
    return "";
  }
  std::string make_something_of_open_length() {
    const Array x = source();
    auto mask = evaluate("x % 3 == 0", x).wait().output;
    Job job = session_->submit(Compress{x, mask});
    if (roll(2) == 0) return "";
    auto output = job.wait().output;
    return output.size() == kWandererSize / 3 && output.view<const std::int64_t>()[100] == 300
               ? ""
               : "every third number is another one";
  }
  std::string sum_up() {
    const auto sum = session_->submit(Reduce{.a = source()}).wait().scalar->as<std::int64_t>();
    return sum == kWandererSize * (kWandererSize - 1) / 2 ? "" : fmt::format("the sum is {}", sum);
  }

  std::uint64_t seed_;
  std::mt19937_64 dice_;
  ConnectOptions connect_;
  std::optional<Session> session_;
  std::deque<Array> arrays_;
  std::deque<Job> jobs_;
  std::uint64_t last_name_ = 0;
};

}  // namespace

void wander(const std::filesystem::path& socket, std::uint64_t seed, const std::function<void(const std::string&)>& complain) {
  Wanderer wanderer(socket, seed);
  while (true) {
    try {
      if (const std::string trouble = wanderer.act(); !trouble.empty()) return complain(trouble);
    } catch (const Failure& failure) {
      // Others like this one were killed in the middle of their jobs on the shared target, or take all the memory; where workers
      // are killed, too, a job may have met three deaths.
      const auto says = [&](const char* part) { return std::string(failure.what()).find(part) != std::string::npos; };
      const bool is_neighbours = failure.code() == ErrorCode::kCancelled || failure.code() == ErrorCode::kOverBudget ||
                                 (failure.code() == ErrorCode::kBadData && says("incomplete")) ||
                                 says("3 workers died computing blocks");
      if (!is_neighbours) return complain(failure.what());
    }
  }
}

}  // namespace parcompute::testing
