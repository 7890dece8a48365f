// Node: the server's core under a virtual clock, with simulated workers and a loop that takes its time.
//
// The core is the real one (server/core): it decides who gets which chunk, and learns from what the completions say. Workers compute their
// packets one after the other, as long as the load says, cut them at their limits in steps as real ones do (worker/pace.h), and answer as these do: behind each
// packet, and every millisecond within one. A
// message takes its time; so does the loop for each message that it receives or sends, one after the other, so that a node of very many workers
// shows where the loop is the narrow place. Nothing is random but what the load is made of: the same options give the same schedule.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "tests/simulator/profile.h"

namespace parcompute::simulate {

struct NodeOptions {
  std::uint64_t chunk_blocks = 0;  // 0: chosen by the core
  double estimate = 1;             // what a job's plan says of its blocks' mean time, against the truth
  double message_ns = 5e3;         // from one process to another
  double loop_ns = 1.5e3;          // of the loop, for a message received or sent
};

struct Outcome {
  double makespan_ns = 0;
  double tail_ns = 0;           // from the first worker that has nothing left to the last that has
  std::uint64_t chunks = 0;
  std::uint64_t packets = 0;
  double core_ns = 0;           // real time that the core took for all that
  double loop_busy = 0;         // part of the makespan in which the loop was busy
  std::map<uid_t, double> ns_while_all_wanted;  // of workers' time, for each user, until the first of them was done
};

Outcome run(const Load& load, const NodeOptions& options);

}  // namespace parcompute::simulate
