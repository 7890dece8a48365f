// Random sequences of everything that can happen to jobs that share arrays. At every moment no array that a running job
// writes is in another running job's hands; jobs run in the order in which they were submitted; in the end nothing is left.
#include <algorithm>
#include <random>

#include "common/array/overlap.h"
#include "tests/core/turns_fixture.h"

namespace parcompute::server {
namespace {

class RandomTurns : public TurnsTest, public ::testing::WithParamInterface<unsigned> {
 protected:
  void SetUp() override {
    start(kWorkers);
    session = open_session();
    sessions_ = {open_session(), open_session()};
    random_.seed(GetParam());
  }

  std::size_t below(std::size_t end) { return std::uniform_int_distribution<std::size_t>(0, end - 1)(random_); }
  std::string any_name() { return fmt::format("a{}", below(kArrays)); }

  static bool is_running(const Job& job) {
    return job.state() == JobState::kRunning || job.state() == JobState::kFailing || job.state() == JobState::kCancelling;
  }
  // Whether one writes elements that the other reads.
  static bool writes_what_is_read(const Job& writer, const Job& reader) {
    return writer.summary.output && std::any_of(reader.inputs.begin(), reader.inputs.end(), [&](const UsedView& input) {
             return input.array == writer.summary.output && may_overlap(input.view, view_of_output(writer));
           });
  }
  static bool write_the_same(const Job& a, const Job& b) {
    return a.summary.output && a.summary.output == b.summary.output && may_overlap(view_of_output(a), view_of_output(b));
  }
  // A new array is all its maker's.
  static ArraySpec view_of_output(const Job& job) { return job.writes_existing ? job.output_view : first(8); }

  void check() {
    const auto& live = core->state().jobs.live();
    for (const auto& [id, job] : live) {
      for (const JobId other : job->waits_for) ASSERT_LT(other, id);
      if (job->summary.output) {
        const Array& output = core->state().arrays.all().at(job->summary.output);
        ASSERT_TRUE(output.writers.contains(id));
        if (is_running(*job) && (job->has_begun_writing || !job->writes_existing)) {
          ASSERT_EQ(output.state, ArrayState::kMaking);
        }
      }
      if (!is_running(*job)) continue;
      for (const auto& [before, other] : live) {
        if (before == id) break;
        const bool is_in_the_way = writes_what_is_read(*other, *job) || writes_what_is_read(*job, *other) || write_the_same(*other, *job);
        ASSERT_FALSE(is_in_the_way) << "job " << id.value << " overtook job " << before.value;
      }
    }
    for (const auto& [id, array] : core->state().arrays.all()) {
      const bool is_written = std::any_of(live.begin(), live.end(), [&](const auto& row) { return is_running(*row.second) && row.second->summary.output == array.id; });
      const bool is_to_be_made = std::any_of(live.begin(), live.end(), [&](const auto& row) { return row.second->summary.output == array.id && !row.second->writes_existing; });
      if (!is_written && !is_to_be_made) {
        ASSERT_NE(array.state, ArrayState::kMaking);
      }
      if (!array.name.empty() && !array.removed) {
        ASSERT_EQ(effects.segments.at(array.segment).complete, array.state == ArrayState::kWhole);
      }
      for (const JobId user : array.writers) ASSERT_TRUE(live.contains(user));
      for (const JobId user : array.readers) ASSERT_TRUE(live.contains(user));
    }
  }

  void submit_something() {
    const std::string a = any_name(), b = any_name(), c = any_name();
    wire::Request request;
    const auto begin = static_cast<std::int64_t>(below(8)), step = 1 + static_cast<std::int64_t>(below(3));
    const ArraySpec view = part(begin, 1 + (7 - begin) / step, step);
    switch (below(9)) {
      case 0: request = sum(a); break;
      case 1: request = add_one(a); break;
      case 2: request = into(a, "b + c", {b, c}); break;
      case 3: request = overwrite(a); break;
      case 4: request = arange(a, {8}); break;
      case 5: request = sum_of_part(a, view); break;
      case 6: case 7: request = overwrite_part(a, view); break;
      default: {
        const auto count = static_cast<std::int64_t>(below(9));
        request = overwrite(a, {count});
        to_wire(first(count), *request.mutable_submit_job()->mutable_existing_output()->mutable_view());
      }
    }
    if (request.submit_job().operation().has_evaluate() && request.submit_job().inputs_size() == 2) {
      request.mutable_submit_job()->mutable_operation()->mutable_evaluate()->set_names(0, "b");
      request.mutable_submit_job()->mutable_operation()->mutable_evaluate()->set_names(1, "c");
    }
    request.mutable_submit_job()->set_detach(below(2) == 0);
    send(sessions_[below(sessions_.size())], request);
  }

  void lose_worker() {
    const auto worker = static_cast<WorkerIndex>(below(kWorkers));
    std::erase_if(effects.work, [&](const Recorder::Work& packet) { return packet.worker == worker; });
    core->on_worker_lost(worker, "was killed");
    effects.forked.clear();
    core->on_worker_forked(worker, 300);
    core->on_worker_ready(worker);
  }

  void do_something() {
    switch (below(12)) {
      case 0: case 1: case 2: case 3: return submit_something();
      case 4: case 5: case 6: case 7:
        if (!effects.work.empty()) below(5) == 0 ? fail_step("bad") : step();
        return;
      case 8: {
        if (last_job() == 0) return;
        wire::Request request;
        request.mutable_cancel_job()->mutable_job()->set_id(last_job() - below(std::min<std::uint64_t>(last_job(), 8)));
        send(session, request);
        return;
      }
      case 9:
        if (below(2) == 0) send(session, remove(any_name()));
        return;
      case 10:
        if (below(3) == 0) lose_worker();
        return;
      default:
        if (below(4) != 0) return;
        const std::size_t gone = below(sessions_.size());
        core->on_session_closed(sessions_[gone]);
        sessions_[gone] = {};
        effects.replies.clear();
        sessions_[gone] = open_session();
    }
  }
  std::uint64_t last_job() const {
    std::uint64_t last = 0;
    for (const auto& [id, job] : core->state().jobs.live()) last = std::max(last, id.value);
    for (const JobSummary& job : core->state().jobs.ended()) last = std::max(last, job.id.value);
    return last;
  }

  static constexpr unsigned kWorkers = 3;
  static constexpr std::size_t kArrays = 3;
  std::mt19937 random_;
  std::vector<SessionId> sessions_;
};

TEST_P(RandomTurns, KeepTheirOrderAndLeaveNothing) {
  for (int i = 0; i < 3000; ++i) {
    do_something();
    effects.replies.clear();
    ASSERT_NO_FATAL_FAILURE(check()) << "step " << i;
  }
  complete_everything();
  effects.replies.clear();
  ASSERT_NO_FATAL_FAILURE(check());
  EXPECT_TRUE(core->state().jobs.live().empty());
  for (std::size_t i = 0; i < kArrays; ++i) send(session, remove(fmt::format("a{}", i)));
  effects.replies.clear();
  EXPECT_TRUE(core->state().arrays.all().empty());
  EXPECT_TRUE(effects.segments.empty());
  EXPECT_EQ(core->state().memory.bytes(MemoryState::kUsed), 0u);
  EXPECT_EQ(core->state().memory.promised_bytes(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomTurns, ::testing::Range(0u, 12u));

}  // namespace
}  // namespace parcompute::server
