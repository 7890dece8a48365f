// Dispatcher: hands blocks to workers and takes their answers.
//
// A worker holds at most two packets of chunks: while it computes one, the next has arrived already. Whose job is next the fair
// queue says (fair_queue.h). Whatever a lost worker held is handed out again: chunks that overwrite their operands to the next worker of
// its place, which finds in the place's redo log how far they came, all others to whoever is free.
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

  // The job has its place among those that share the workers, until it is forgotten.
  void admit(Job& job);
  void forget(Job& job);
  // The job has blocks to hand out (again).
  void enqueue(Job& job);
  // Its phase waits until memory that is being given back has been.
  void wait_for_memory(Job& job);
  // Gives workers all that they may hold.
  void feed(Worker& worker);
  // The same when it has answered, and whoever else may take what it gave back.
  void feed_after(Worker& worker);
  void feed_all();

  // Ends workers that stay stopped with a chunk in hand, or memory to give back, or do not end when they should. False where nobody has anything: it need not be called until a
  // chunk is handed out again, or memory is given up, either of which begins the watch.
  bool watch_workers();

  // Jobs with nothing out, whose phase is done or that have been failing or cancelling: their next step is JobControl's.
  using Settled = Few<JobId>;

  // An answer to a lease that the worker does not hold is a broken rule: false, and the worker must go.
  bool on_completions(Worker& worker, std::span<const ChunkCompletion> completions, Settled& settled);
  bool on_chunk_failed(Worker& worker, const ChunkCompletion& completion, std::string_view text, Settled& settled);
  void on_worker_lost(Worker& worker, const LostWorker& lost, Settled& settled);

 private:
  void resume_who_waited_for_memory();
  bool put_off_for_memory(Job& job, const Lease& lease);
  Job* choose(Worker& worker);
  Job* next_redo(Worker& worker);
  bool shall_prefetch(const Job& job, const Worker& worker) const;
  unsigned places_with_redo(const Job& job) const;
  double ns_in_hand(const Worker& worker) const;
  void send_packet(Worker& worker, Job& job);
  std::size_t take_chunks(Worker& worker, Job& job, std::uint32_t slot, std::span<ChunkDescriptor> chunks);
  ChunkDescriptor lease(Worker& worker, Job& job, std::uint32_t slot, BlockRange blocks, std::uint16_t attempt, std::uint64_t id);
  void make_room(Worker& worker);
  // Takes the worker's next lease back. Null where it is not the one that the worker speaks of, or more is left of it than may be.
  Job* take_back(Worker& worker, std::uint64_t lease_id, std::uint64_t left, Lease& lease);
  void note_done(Job& job, const Lease& lease, std::uint64_t blocks, const ChunkCompletion& completion);
  void give_back(Job& job, const Lease& lease, std::uint64_t done);
  // The chunk has ended as many workers as it may: its job fails, with a certificate of what became of each.
  void give_up(Job& job, const Lease& lease) const;
  void release(Worker& worker, const Lease& lease, Job& job);
  void settle(const Job& job, Settled& settled) const;
  // Whether it would be one worker too many for the job.
  bool is_too_many(const Worker& worker, const Job& job) const;

  State& state_;
  Effects& effects_;
  // Of the fair queue: what was charged for the lease when it was handed out, and the time that it took.
  void settle_charge(Job& job, const Lease& lease, double ns);

  bool others_may_want_ = false;  // a job was enqueued for workers besides the one that answered
  std::size_t redos_ = 0;  // in all workers' lists
  std::uint64_t freed_ = 0;  // MemoryLedger::freed() when those who wait for memory were last looked at
};

}  // namespace parcompute::server
