// CopyPool: worker processes that are handed their arrays by copy, in the manner of a Python process pool.
//
// map() is Pool.map: each task's message is made, sent, computed by a worker and its answer taken apart.
// Tasks go to workers as they come free. Unlike Python's pools, whose one thread serves all workers in turn,
// a thread for each worker makes and sends large messages, so that nothing but the copying itself is slow.
#pragma once

#include <sys/types.h>

#include <span>
#include <vector>

#include "common/base/error.h"
#include "common/os/unique_fd.h"
#include "tests/support/copy_message.h"

namespace parcompute {

struct CopyTask {
  CopyOp op = CopyOp::kSum;
  std::vector<ArrayRef> arrays;  // alive until map() returns
  MandelbrotPart mandelbrot = {};
};

struct CopyAnswer {
  PlainArray array;
  double busy_seconds = 0;  // the worker's, in the computation alone
};

class CopyPool {
 public:
  // Starts the program parcompute-copy-worker, which lies beside this one, so many times; they are ready on
  // return.
  static Result<CopyPool> start(unsigned workers);
  CopyPool(CopyPool&&) noexcept = default;
  // Ends the workers and waits for them.
  ~CopyPool();

  std::size_t workers() const { return workers_.size(); }
  // The answers, in the tasks' order.
  Result<std::vector<CopyAnswer>> map(std::span<const CopyTask> tasks);

 private:
  struct Worker {
    UniqueFd socket;
    pid_t pid = -1;
  };
  CopyPool() = default;

  std::vector<Worker> workers_;
};

}  // namespace parcompute
