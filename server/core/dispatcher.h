// Dispatcher: hands blocks to workers and takes their answers.
//
// A worker holds at most two packets of chunks: while it computes one, the next has arrived already. Jobs that have
// blocks take turns. Whatever a lost worker held is handed out again.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "proto/descriptor.h"
#include "server/core/effects.h"
#include "server/core/state.h"

namespace parcompute::server {

class Dispatcher {
 public:
  Dispatcher(State& state, Effects& effects) : state_(state), effects_(effects) {}

  // The job has blocks to hand out (again).
  void enqueue(Job& job);
  // Gives workers all that they may hold.
  void feed(Worker& worker);
  void feed_all();

  // Jobs with nothing out, whose phase is done or that have been failing or cancelling: their next step is JobControl's.
  using Settled = Few<JobId>;

  // An answer to a lease that the worker does not hold is a broken rule: false, and the worker must go.
  bool on_completions(Worker& worker, std::span<const ChunkCompletion> completions, Settled& settled);
  bool on_chunk_failed(Worker& worker, const ChunkCompletion& completion, std::string_view text, Settled& settled);
  // `how`: "was killed by signal 9 (Killed)", for a job that fails of it.
  void on_worker_lost(Worker& worker, std::string_view how, Settled& settled);

 private:
  Job* choose(const Worker& worker);
  double ns_in_hand(const Worker& worker) const;
  void send_packet(Worker& worker, Job& job);
  std::size_t take_chunks(Worker& worker, Job& job, std::uint32_t slot, std::span<ChunkDescriptor> chunks);
  ChunkDescriptor lease(Worker& worker, Job& job, std::uint32_t slot, BlockRange blocks, std::uint16_t attempt);
  void make_room(Worker& worker);
  // Takes the worker's next lease back. Null where it is not the one that the worker speaks of.
  Job* take_back(Worker& worker, std::uint64_t lease_id, Lease& lease);
  void release(Worker& worker, const Lease& lease, Job& job);
  void settle(const Job& job, Settled& settled) const;
  unsigned workers_for(const Job& job) const;

  State& state_;
  Effects& effects_;
};

}  // namespace parcompute::server
