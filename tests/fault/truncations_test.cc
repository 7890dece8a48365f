// Clients cut off the memory of arrays of their own, or punch holes into it, while jobs read and write them.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>

#include "common/os/system_error.h"
#include "common/shm/segment_header.h"
#include "tests/fault/campaign.h"
#include "tests/fault/job_mix.h"

namespace parcompute::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kVandals = 2;

class Truncations : public Campaign {
 protected:
  // Jobs on arrays whose memory goes meanwhile: each ends, well or with the error that says what went.
  void vandalize(CampaignClient& client) {
    Dice& dice = client.dice();
    Session& session = client.session();
    client.doing("makes arrays");
    const std::int64_t size = (std::int64_t{1} << (8 + below(dice, 14))) + static_cast<std::int64_t>(below(dice, 1000));
    std::array<Array, 3> arrays;
    for (Array& array : arrays) array = session.create_arange("", DType::kFloat64, {size});
    for (int i = 0; i < 4 && !is_dismissed(); ++i) {
      client.doing("submits a job");
      Job job = submit_any(session, arrays, dice);
      job.id();
      if (one_in(dice, 2)) pause_briefly(dice);
      spoil(dice, arrays[below(dice, arrays.size())].info());
      client.doing("waits for a job whose memory goes");
      try {
        client.wait(job);
      } catch (const Failure& failure) {
        if (failure.code() != ErrorCode::kComputationFailed || std::string(failure.what()).find("vanished") == std::string::npos) throw;
        ++tallies_.explained;
        return;  // what it was to write is incomplete
      }
    }
  }

 private:
  // That reads two of them, or one, and writes over its own operand, or beside it, or a number.
  static Job submit_any(Session& session, const std::array<Array, 3>& arrays, Dice& dice) {
    SubmitOptions options;
    if (one_in(dice, 2)) options.chunk_blocks = 1;
    if (one_in(dice, 3)) return session.submit(Reduce{.a = arrays[0]}, options);
    options.into = arrays[one_in(dice, 2) ? 0 : 2];
    return session.submit(Evaluate{"0.5*a + b", {{"a", arrays[0]}, {"b", arrays[1]}}, {}}, options);
  }
  // As long as a part of a job takes.
  static void pause_briefly(Dice& dice) {
    const timespec pause{0, static_cast<long>(below(dice, 2'000'000))};
    ::clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, nullptr);
  }

  void spoil(Dice& dice, const ArrayInfo& array) {
    const UniqueFd memory(::open(("/dev/shm/" + array.segment_name).c_str(), O_RDWR | O_CLOEXEC));
    if (!memory) throw std::runtime_error(system_error("spoil", array.segment_name, errno).message);
    const auto length = segment_memory(array.nbytes());
    const auto from = static_cast<off_t>(below(dice, length));
    const int outcome = one_in(dice, 2) ? ::ftruncate(memory.get(), from)
                                        : ::fallocate(memory.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from,
                                                      static_cast<off_t>(1 + below(dice, length)));
    if (outcome != 0) throw std::runtime_error(system_error("spoil", array.segment_name, errno).message);
    ++tallies_.faults;
  }
};

TEST_F(Truncations, OfOnesOwnArraysCostOnesOwnJobsAndNobodyElses) {
  const JobMix mix;
  start(2, 512 * kMebibyte);
  {
    auto session = connect();
    JobMix::make_operands(session);
    mix.run_all(session);
  }
  remember_rest();
  employ(kVandals + 1, [&](CampaignClient& client) {
    if (client.number() > 0) return vandalize(client);
    for (int i = 0; i < 20 && !is_dismissed(); ++i) mix.run_one(client);
  });
  least_jobs_ = kSanitized ? 20u : 100u;
  while (goes_on(tallies_.faults, kSanitized ? 60 : 300)) pause(20ms);
  dismiss();
  expect_rest();
  auto session = connect();
  mix.run_all(session);
  EXPECT_GT(tallies_.jobs, least_jobs_);
  EXPECT_GT(tallies_.explained, 0u) << "nothing was hit";
}

}  // namespace
}  // namespace parcompute::testing
