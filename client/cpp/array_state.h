// What an Array handle shares with its copies. Internal to the library.
#pragma once

#include <memory>

#include "client/cpp/array.h"
#include "client/cpp/connection.h"
#include "common/array/array_spec.h"
#include "common/os/unique_fd.h"
#include "common/shm/mapping.h"

namespace parcompute {

struct Array::State {
  ArrayInfo info;
  ArraySpec spec;                    // the same layout, for checks
  UniqueFd fd;
  std::uint64_t data_offset = 0;     // bytes from the descriptor's beginning
  std::uint64_t data_bytes = 0;
  Mapping mapping;
  std::shared_ptr<Array::State> base;  // of a view: the array whose memory, descriptor and life it shares
  std::weak_ptr<Connection> server;  // of an anonymous array: told when the last handle goes

  State() = default;
  State(const State&) = delete;
  ~State();
};

std::shared_ptr<Array::State> array_state(const wire::ArrayInfo& message, UniqueFd fd, const std::shared_ptr<Connection>& server);
// What a job reads or writes: the array, and which of its elements.
void refer(const Array& array, wire::ArrayRef& reference);

// A handle on an array that the server described, with the descriptor that came along (or the client's own).
Array make_array(const wire::ArrayInfo& message, UniqueFd fd, const std::shared_ptr<Connection>& server);

}  // namespace parcompute
