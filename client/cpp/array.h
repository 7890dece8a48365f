// Array: a client's handle on an array that the server owns, and its memory in this process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "common/array/array_mode.h"
#include "common/array/dtype.h"

namespace parcompute {

struct ArraySpec;

// What the server says of an array.
struct ArrayInfo {
  std::uint64_t id = 0;
  std::string name;  // empty: anonymous
  DType dtype = DType::kFloat64;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;  // bytes
  std::string path;                   // of the file that was attached; empty: a segment
  std::string segment_name;           // in /dev/shm, or "memfd:INODE" of a server whose segments are sealed; empty: a file
  bool writable = false;    // by this session
  bool incomplete = false;  // a job is writing it, or the last one that was did not finish
  std::uint64_t writer_job = 0;  // the last of the live jobs that write it, or will; 0: none
  std::uint32_t owner_uid = 0;
  ArrayMode mode = ArrayMode::kPrivate;  // what others than the owner may do

  std::uint64_t size() const;    // elements
  std::uint64_t nbytes() const;  // size() * itemsize
};

// Copies share one handle. The mapping (made at the first data()) lives as long as the last copy, also when the server
// is gone or the array was removed. The last copy of an anonymous array removes it from the server.
class Array {
 public:
  Array() = default;

  const ArrayInfo& info() const;
  const std::string& name() const { return info().name; }
  DType dtype() const { return info().dtype; }
  const std::vector<std::int64_t>& shape() const { return info().shape; }
  std::uint64_t size() const { return info().size(); }
  explicit operator bool() const { return state_ != nullptr; }

  // The same memory seen otherwise, as an operand, an output or in this process: steps as NumPy writes them,
  // "[10:20, ::-1]", ".T", ".transpose(1, 0)", ".reshape(4, -1)", one behind the other. Throws Failure (kInvalidArgument).
  // It keeps this array's handle.
  Array viewed(std::string_view steps) const;

  // Element (0, ..., 0), mapped into this process: no copy is made. Null where the array has no elements. Throws
  // Failure (kOverBudget, kSystem) where it cannot be mapped.
  std::byte* data();
  const std::byte* data() const;

  // All elements in C order. Throws Failure (kInvalidArgument) where T is
  // not the dtype's element type, the array is not writable and T is not const, or the elements are not contiguous.
  template <class T>
  std::span<T> view() {
    return {reinterpret_cast<T*>(checked_data(dtype_of<std::remove_const_t<T>>(), !std::is_const_v<T>)),
            static_cast<std::size_t>(size())};
  }

  // How the elements lie in the array's memory.
  const ArraySpec& spec() const;
  bool is_view() const;
  // The server that knows it by info().id; a later one on the same socket knows named arrays by their names alone.
  std::uint64_t server_id() const;

  struct State;
  explicit Array(std::shared_ptr<State> state) : state_(std::move(state)) {}

 private:
  std::byte* checked_data(DType dtype, bool write);

  std::shared_ptr<State> state_;
};

}  // namespace parcompute
