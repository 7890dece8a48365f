#include "server/core/turns.h"

#include <algorithm>
#include <iterator>

#include "common/array/overlap.h"
#include "server/core/shares.h"

namespace parcompute::server {
namespace {

// Jobs whose views are compared with those of a new one: 0.1 us each, and a search where they interlock.
constexpr std::size_t kMostCompared = 1000;

// The live writers of an array, the last one first, down to the last one that waited for all before itself. That one comes last,
// where there is one.
Few<Job*> last_writers(State& state, const Array& array) {
  Few<Job*> writers;
  for (auto id = array.writers.rbegin(); id != array.writers.rend(); ++id) {
    writers.push_back(state.jobs.find(*id));
    if (writers.back()->waited_for_all) break;
  }
  return writers;
}

void wait_for_writer(const Job& writer, Job& job) {
  job.waits_for.insert(writer.id());
  job.makers.insert(writer.id());
}

bool reads(const Job& job, ArrayId array, const ArraySpec& view) {
  return std::any_of(job.inputs.begin(), job.inputs.end(), [&](const UsedView& input) { return input.array == array && may_overlap(input.view, view); });
}

void take_turn_to_write(State& state, const Array& array, Job& job) {
  const Few<Job*> writers = last_writers(state, array);
  const bool has_order = !writers.empty() && writers.back()->waited_for_all;
  const auto first_reader = has_order ? array.readers.upper_bound(writers.back()->id()) : array.readers.begin();
  std::size_t compared = writers.size();
  for (auto reader = first_reader; reader != array.readers.end() && compared <= kMostCompared; ++reader) ++compared;
  // Where so many wait for so many already, a single one that all wait for is cheaper.
  const bool is_too_much = compared > (state.waits < kMaxWaits / 2 ? kMostCompared : 0);
  job.waited_for_all = !job.writes_existing || job.writes_all || is_too_much;
  for (const Job* writer : writers)
    if (job.waited_for_all || waits_for_writer(job.output_view, *writer)) wait_for_writer(*writer, job);
  for (auto reader = first_reader; reader != array.readers.end(); ++reader)
    if (job.waited_for_all || reads(*state.jobs.find(*reader), array.id, job.output_view)) job.waits_for.insert(*reader);
}

}  // namespace

bool waits_for_writer(const ArraySpec& view, const Job& writer) {
  return writer.waited_for_all || may_overlap(view, writer.output_view);
}

void take_turns(State& state, Job& job) {
  const JobId id = job.id();
  if (job.summary.output) take_turn_to_write(state, state.arrays.get(job.summary.output), job);
  for (const UsedView& input : job.inputs) {
    Array& array = state.arrays.get(input.array);
    for (const Job* writer : last_writers(state, array))
      if (waits_for_writer(input.view, *writer)) wait_for_writer(*writer, job);
  }
  for (const UsedView& input : job.inputs) state.arrays.get(input.array).readers.insert(id);
  if (job.summary.output) state.arrays.get(job.summary.output).writers.insert(id);
  for (const JobId other : job.waits_for) state.jobs.find(other)->wanted_by.insert(id);
}

void leave_turns(State& state, Job& job) {
  for (const UsedView& input : job.inputs) state.arrays.get(input.array).readers.erase(job.id());
  if (job.summary.output) state.arrays.get(job.summary.output).writers.erase(job.id());
}

}  // namespace parcompute::server
