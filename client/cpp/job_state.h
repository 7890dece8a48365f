// What a Job handle shares with its copies. Internal to the library.
#pragma once

#include <memory>

#include "client/cpp/array_state.h"
#include "client/cpp/connection.h"
#include "client/cpp/job.h"

namespace parcompute {

struct Job::State {
  std::shared_ptr<Connection> server;
  std::uint64_t id = 0;       // 0: not known yet; the server's answer to `request` will tell
  std::uint64_t request = 0;  // whose answer is the job's end; 0: none is on its way
  bool is_submitters = false;  // an anonymous output is this session's, and goes with its last handle
  std::weak_ptr<Array::State> output;

  State() = default;
  State(const State&) = delete;
  // An answer that is still to come is wanted by nobody.
  ~State();

  void refer(wire::JobRef& reference) const;
};

}  // namespace parcompute
