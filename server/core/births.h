// Births: whether workers can be had at all.
//
// While no worker is up, jobs wait for one. Where none comes for long, though several were tried, they would wait for ever: the
// cause is there to stay until somebody mends it. The server goes on trying, and the first worker that comes up ends it.
#pragma once

#include <optional>
#include <string>

#include "common/base/error.h"

namespace parcompute::server {

class Births {
 public:
  // No worker is up: those that are to come are counted from now on.
  void begin();
  bool has_begun() const { return seconds_.has_value(); }
  // A worker is up.
  void end();
  // One could not be born, or died before it was up: "worker 2 was killed by signal 9 (Killed)".
  void on_failed(std::string how);
  void on_second();

  // Why a job is not kept waiting; nothing: a worker is up, or may still come.
  std::optional<Error> hopeless() const;
  // What became of those that were tried; empty: nothing yet.
  const std::string& last_failure() const { return last_failure_; }

 private:
  std::optional<unsigned> seconds_;  // full ones without a worker
  unsigned failed_ = 0;
  std::string last_failure_;
};

}  // namespace parcompute::server
