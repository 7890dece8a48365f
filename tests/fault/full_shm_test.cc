// A /dev/shm that is nearly full, and that another program fills again and again.
//
// All of it happens in a tmpfs of 64 MiB that no other process sees. Whoever touches a page that was never reserved is ended by
// SIGBUS there: a worker that is replaced, or this test, would show it.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <numeric>
#include <regex>
#include <stdexcept>

#include <fmt/format.h>

#include "common/os/unique_fd.h"
#include "tests/fault/campaign.h"
#include "tests/fault/in_place.h"
#include "tests/fault/job_mix.h"
#include "tests/support/private_shm.h"

namespace parcompute::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kShmBytes = 64 * kMebibyte;
constexpr std::size_t kClients = 3;
constexpr std::uint64_t kFillsBetweenLooks = 25;

// How much was asked for, and how much there is.
bool names_figures(const std::string& words) {
  static const std::regex figure(R"(\b[0-9]+(\.[0-9])? ([KMGTPE]i)?B\b)");
  return std::distance(std::sregex_iterator(words.begin(), words.end(), figure), std::sregex_iterator()) >= 2;
}

// A program that knows nothing of the server, and keeps files in /dev/shm.
class OtherProgram {
 public:
  OtherProgram() : file_(::open(kName, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) {
    if (!file_) throw std::runtime_error("the other program cannot make its file");
  }
  OtherProgram(const OtherProgram&) = delete;
  OtherProgram& operator=(const OtherProgram&) = delete;
  ~OtherProgram() { ::unlink(kName); }

  // As `cat /dev/zero >file` does, but for what it `leaves`.
  void fill(std::uint64_t leaves) {
    while (true) {
      const std::uint64_t free = PrivateShm::free();
      if (free <= leaves) return;
      // The server takes from it meanwhile: then it is tried again.
      const std::uint64_t bytes = std::min(free - leaves, std::max<std::uint64_t>(kPage, (free - leaves) / 2));
      if (::fallocate(file_.get(), 0, static_cast<off_t>(size_), static_cast<off_t>(bytes)) == 0) size_ += bytes;
      else if (errno != ENOSPC) throw std::runtime_error("the other program cannot grow its file");
    }
  }
  void let_go() {
    EXPECT_EQ(::ftruncate(file_.get(), 0), 0);
    size_ = 0;
  }

 private:
  static constexpr const char* kName = "/dev/shm/another-program's";
  static constexpr std::uint64_t kPage = 4096;
  UniqueFd file_;
  std::uint64_t size_ = 0;
};

class FullShm : public Campaign {
 protected:
  void SetUp() override {
    if (const std::string why = shm_.enter(kShmBytes); !why.empty()) GTEST_SKIP() << why;
    has_begun_ = true;
    Campaign::SetUp();
  }
  void TearDown() override {
    if (has_begun_) Campaign::TearDown();
  }

  bool is_explained(const Failure& failure) const override {
    const std::string words = failure.what();
    if (failure.code() == ErrorCode::kOverBudget) return names_figures(words);
    // What came behind a job that was refused its memory.
    return failure.code() == ErrorCode::kCancelled && words.find("did not succeed") != words.npos;
  }

  // What the server says is in use is what /dev/shm lacks, to the byte, once the workers have freed what was given up.
  void use_up_spares() override {
    Campaign::use_up_spares();
    std::uint64_t used = 0;
    if (!holds_within(kRest, [&] { return PrivateShm::free() + (used = status().memory_used_bytes) == kShmBytes; }))
      leaked(fmt::format("{} bytes are in use, and {} of {} free", used, PrivateShm::free(), kShmBytes));
  }

  // ---- clients
  void work(CampaignClient& client) {
    std::vector<std::unique_ptr<InPlaceArray>> arrays;
    for (int i = 0; i < 2; ++i) arrays.push_back(choose_in_place_array(client));
    for (auto& array : arrays) array->make(client);
    for (int i = 0; i < 20 && !is_dismissed(); ++i) {
      const std::uint64_t what = below(client.dice(), 6);
      if (what == 0) {
        hoard(client);
      } else if (what < 3) {
        arrays[below(client.dice(), arrays.size())]->change(client);
      } else {
        mix_->run_one(client);
      }
    }
    for (auto& array : arrays) array->remove(client);
  }

  // Arrays of a page to 32 MiB, each written from its first element to its last, until one is refused.
  void hoard(CampaignClient& client) {
    std::vector<Array> held;
    for (bool is_room = true; is_room && held.size() < 12 && !is_dismissed();) {
      const std::int64_t size = static_cast<std::int64_t>(1 + below(client.dice(), std::uint64_t{512} << below(client.dice(), 14)));
      is_room = client.attempt(fmt::format("an array of {} elements", size), [&] {
        held.push_back(client.session().create(one_in(client.dice(), 2) ? client.new_name() : "", DType::kInt64, {size}));
      });
      if (!is_room) break;
      auto view = held.back().view<std::int64_t>();
      std::iota(view.begin(), view.end(), 0);
    }
    for (Array& array : held) {
      const auto n = static_cast<std::int64_t>(array.size());
      client.attempt("the sum of what was written", [&] {
        Job job = client.session().submit(Reduce{.a = array});
        if (client.wait(job).scalar->as<std::int64_t>() != n * (n - 1) / 2)
          client.wrong(fmt::format("the sum of {} whole numbers is another one", n));
      });
      if (const std::string name = array.info().name; !name.empty()) client.session().remove(name);
    }
  }

  // ---- one client alone, with nothing left
  // The call is refused, and of nothing is there more or less than before.
  void expect_refused(const std::string& what, const std::function<void()>& call) {
    const std::uint64_t used = status().memory_used_bytes, arrays = status().arrays, free = PrivateShm::free();
    const std::size_t names = segments().size();
    try {
      call();
      return wrong(what + " was not refused");
    } catch (const Failure& failure) {
      if (failure.code() != ErrorCode::kOverBudget || !names_figures(failure.what())) wrong(what + ": " + failure.what());
      ++tallies_.explained;
    }
    // What it made on the way is given back by others, and only then free.
    const auto as_before = [&] { return PrivateShm::free() == free && segments().size() == names; };
    if (const Status now = status(); now.memory_used_bytes != used || now.arrays != arrays)
      leaked(fmt::format("{} left {} bytes in {} arrays in use; before it there were {} in {}", what, now.memory_used_bytes, now.arrays, used, arrays));
    if (!holds_within(kRest, as_before))
      leaked(fmt::format("{} left {} bytes free and {} names; before it there were {} and {}", what, PrivateShm::free(), segments().size(), free, names));
  }

  void expect_all_refused(Session& session, Array& array) {
    expect_refused("an array of a byte", [&] { session.create("", DType::kUint8, {1}); });
    expect_refused("a named array of a byte", [&] { session.create("one-too-many", DType::kUint8, {1}); });
    expect_refused("an array of 20 MiB", [&] { session.create("", DType::kUint8, {20 * 1024 * 1024}); });
    expect_refused("an array of 4 EiB", [&] { session.create("", DType::kUint8, {std::int64_t{1} << 62}); });
    expect_refused("a picture", [&] { session.submit(Mandelbrot{.nx = 300, .ny = 300, .max_iter = 5}).wait(); });
    expect_refused("a sum with a name", [&] {
      SubmitOptions options;
      options.output = "one-too-many";
      session.submit(Evaluate{"a + a", {{"a", array}}, {}}, options).wait();
    });
    expect_refused("an array turned round in itself", [&] {
      SubmitOptions options;
      options.into = array;
      session.submit(Evaluate{"a", {{"a", array.viewed("[::-1]")}}, {}}, options).wait();
    });
    expect_holds(array);
    // What needs no memory goes on.
    SubmitOptions options;
    options.into = array;
    session.submit(Evaluate{"a + 1", {{"a", array}}, {}}, options).wait();
    ++first_;
    expect_holds(array);
    ++tallies_.jobs;
  }
  void expect_holds(Array& array) {
    const auto view = array.view<const std::int64_t>();
    for (std::size_t i = 0; i < view.size(); ++i)
      if (view[i] != first_ + static_cast<std::int64_t>(i)) return wrong(fmt::format("element {} is {} and not {}", i, view[i], first_ + static_cast<std::int64_t>(i)));
  }

  // Takes all that the server gives, down to the last byte.
  std::vector<Array> take_all(Session& session) {
    std::vector<Array> held;
    for (std::int64_t bytes = kShmBytes; bytes > 0;) {
      try {
        held.push_back(session.create("", DType::kUint8, {bytes}));
      } catch (const Failure& failure) {
        if (!is_explained(failure)) wrong(fmt::format("an array of {} bytes: {}", bytes, failure.what()));
        bytes = one_in(dice(), 4) ? bytes / 3 : bytes / 2;
      }
    }
    return held;
  }

  void look_closely() {
    auto session = connect();
    Array array = session.create_arange("", DType::kInt64, {200'000});
    first_ = 0;
    {
      auto held = take_all(session);
      expect_all_refused(session, array);
    }
    session.status();  // it has heard by then that they are gone
    use_up_spares();
    // The server's account has room, and /dev/shm has none.
    OtherProgram other;
    other.fill(0);
    expect_all_refused(session, array);
    other.let_go();
    Array again = session.create_arange("", DType::kInt64, {1'000'000});
    if (again.view<const std::int64_t>()[999'999] != 999'999) wrong("an array made after the other program has let go");
    expect_handed_on(session);
  }
  // Each takes more than half of /dev/shm, and no two are of one size: the next one waits for the memory of the last, which
  // workers are still giving back when it is asked for.
  void expect_handed_on(Session& session) {
    for (std::int64_t i = 0; i < 20; ++i) {
      const std::int64_t size = 5'000'000 + 1000 * i;
      try {
        Array array = session.create_arange("", DType::kInt64, {size});
        if (array.view<const std::int64_t>()[static_cast<std::size_t>(size - 1)] != size - 1) wrong("an array in memory that was just given back");
      } catch (const Failure& failure) {
        wrong(fmt::format("an array in place of one that was removed is refused: {}", failure.what()));
      }
    }
  }

  PrivateShm shm_;
  bool has_begun_ = false;
  std::optional<JobMix> mix_;
  std::int64_t first_ = 0;  // of the array that look_closely() counts up
};

TEST_F(FullShm, IsAnErrorWithFiguresAndNeverASignal) {
  mix_.emplace();
  start(2, 4 * kShmBytes);
  {
    auto session = connect();
    JobMix::make_operands(session);
    mix_->run_all(session);
  }
  remember_rest();
  least_jobs_ = 20u;
  while (goes_on(tallies_.faults, kSanitized ? 50 : 150)) {
    employ(kClients, [&](CampaignClient& client) { work(client); });
    for (std::uint64_t i = 0; i < kFillsBetweenLooks && !is_over(); ++i) {
      pause(8ms);
      OtherProgram other;
      other.fill(one_in(dice(), 2) ? 0 : below(dice(), 8 * kMebibyte));
      ++tallies_.faults;
      pause(8ms);
    }
    dismiss();
    expect_rest();
    look_closely();
    expect_rest();
  }
  if (replaced() != 0) wrong(fmt::format("{} workers had to be replaced", replaced()));
  auto session = connect();
  mix_->run_all(session);
  EXPECT_GT(tallies_.jobs, least_jobs_);
  EXPECT_GT(tallies_.explained, 20u) << "nothing was refused";
}

}  // namespace
}  // namespace parcompute::testing
