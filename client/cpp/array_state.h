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
  std::uint64_t server_id = 0;       // the server that knows it by info.id
  std::weak_ptr<Connection> owner;   // of an anonymous array of its session's: told when the last handle goes

  State() = default;
  State(const State&) = delete;
  ~State();
};

// Whether the array goes with the last handle on it, where it is anonymous.
enum class Ownership { kOwned, kBorrowed };

std::shared_ptr<Array::State> array_state(const wire::ArrayInfo& message, UniqueFd fd, const std::shared_ptr<Connection>& server, Ownership ownership);
// What a job reads or writes: the array, and which of its elements. Throws kNotFound where it is an array of another server than the
// one that is asked: its number may be another array's there.
void refer(const Array& array, const Connection& server, wire::ArrayRef& reference);

// A handle on an array that the server described, with the descriptor that came along (or the client's own).
Array make_array(const wire::ArrayInfo& message, UniqueFd fd, const std::shared_ptr<Connection>& server);

}  // namespace parcompute
