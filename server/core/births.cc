#include "server/core/births.h"

#include <utility>

#include <fmt/format.h>

namespace parcompute::server {
namespace {

// A shortage of processes or memory that lasts no longer than this is waited out.
constexpr unsigned kPatienceSeconds = 10;
constexpr unsigned kEnoughFailures = 5;

}  // namespace

void Births::begin() {
  if (!seconds_) seconds_ = 0;
}

void Births::end() {
  *this = Births();
}

void Births::on_failed(std::string how) {
  if (!seconds_) return;  // there are others
  ++failed_;
  last_failure_ = std::move(how);
}

void Births::on_second() {
  if (seconds_) ++*seconds_;
}

std::optional<Error> Births::hopeless() const {
  if (!seconds_ || *seconds_ < kPatienceSeconds || failed_ < kEnoughFailures) return std::nullopt;
  return Error{ErrorCode::kSystem,
               fmt::format("no worker has been up for {} s, and {} that were to come failed; the last time: {}. Look at the limits of processes and memory that the server is "
                           "under (ulimit -u, TasksMax=, MemoryMax=) and at its log; it goes on trying, so try again when 'parcompute-client status' shows "
                           "a worker that is not starting",
                           *seconds_, failed_, last_failure_),
               0};
}

}  // namespace parcompute::server
