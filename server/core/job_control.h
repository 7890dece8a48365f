// JobControl: a job from its submission to its end.
#pragma once

#include <deque>
#include <set>
#include <vector>

#include "common/base/error.h"
#include "common/operation/plan_memory.h"
#include "proto/parcompute.pb.h"
#include "server/core/array_keeper.h"
#include "server/core/dispatcher.h"
#include "server/core/effects.h"
#include "server/core/rights.h"
#include "server/core/state.h"

namespace parcompute::server {

class JobControl {
 public:
  JobControl(State& state, Effects& effects, ArrayKeeper& arrays, Dispatcher& dispatcher)
      : state_(state), effects_(effects), arrays_(arrays), dispatcher_(dispatcher) {}

  // Plans, admits, and starts or queues. Nothing is left behind where it fails.
  Result<JobId> submit(Session& session, std::uint64_t request, const wire::SubmitJob& message);

  // The next phase of a job whose phase is done, or its end.
  void settle(Job& job);
  void cancel(Job& job, std::string_view why);
  // Those that have run for as long as they may.
  void cancel_overdue();
  // None of those that live can go on.
  void fail_all(const Error& why);

  // That an attached file is as long as it was then. Of any other array there is nothing to ask.
  Result<void> check_file(const Array& array);

  // Answers a request with the job's end: now, or when it comes.
  void wait(Session& session, std::uint64_t request, JobId id);

 private:
  // What a job reads, or the array that it writes to: the array, and the elements of it.
  struct Used {
    Array* array = nullptr;
    ArraySpec view;
    bool is_whole = true;  // the array as it is
    OperandInfo operand() const { return {view, array->label(), array->segment.value}; }
  };
  Result<Used> find_used(const Session& session, const wire::ArrayRef& reference, Right right);
  Result<std::vector<Used>> find_inputs(const Session& session, const wire::SubmitJob& message);
  // Where the message names one.
  Result<std::optional<Used>> find_output(const Session& session, const wire::SubmitJob& message);
  Result<void> make_memory(Session& session, const wire::SubmitJob& message, const std::optional<Used>& existing, Job& job);
  // It waits for those who used the arrays before it, and the arrays stay for as long as it does.
  void hold_arrays(Job& job, const std::vector<Used>& inputs);
  void leave_arrays(Job& job);
  void describe_to_workers(Job& job, const wire::Operation& operation, const std::vector<Used>& inputs, const std::optional<Used>& existing);
  void end_output(Job& job);
  // It waits for nobody any more.
  void start_or_cancel(Job& job);
  void start(Job& job);
  // Before that, an output that exists is as it was, also for the server's successor.
  void begin_writing(Job& job);
  void enter_phase(Job& job, std::size_t phase);
  void end(Job& job);
  const Array* incomplete_input(const Job& job) const;
  void free_waiting_jobs();
  void reply_ended(Waiter waiter, const JobSummary& job);

  State& state_;
  Effects& effects_;
  ArrayKeeper& arrays_;
  Dispatcher& dispatcher_;
  PlanMemory plans_;

  // A job that waited for another one, which has ended.
  struct Freed {
    JobId waiting;
    JobId other;
    bool other_is_done = false;
  };
  std::deque<Freed> freed_;
  bool freeing_ = false;
};

// An array by reference, where it is there and the session may use it so.
Result<Array*> find_array(State& state, const Session& session, const wire::ArrayRef& reference, Right right);

}  // namespace parcompute::server
