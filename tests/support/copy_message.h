// Messages that carry arrays by value, as pickles do.
//
// The counterpart that the service is measured against: what Python's process pools do to hand an array over,
// done in C++ and as fast as that design allows. A message is a head and, for each array, a head and its
// bytes. It is made in fresh memory (pickle.dumps copies the array into it), written to a socket, read into
// fresh memory on the other side, and taken apart into fresh arrays (pickle.loads copies them out). Large
// memory asks for huge pages, as NumPy's does.
//
// Both ends are one build on one machine, and each trusts the other: lengths are checked to find bugs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "common/array/array_spec.h"
#include "common/base/error.h"

namespace parcompute {

// Memory that nobody has written to yet, from malloc.
class FreshBytes {
 public:
  FreshBytes() = default;
  explicit FreshBytes(std::size_t size);

  std::span<std::byte> span() { return {memory_.get(), size_}; }
  std::span<const std::byte> span() const { return {memory_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::size_t size_ = 0;
};

// A C-contiguous array in someone else's memory.
struct ArrayRef {
  DType dtype = DType::kFloat64;
  Dims shape;
  std::span<const std::byte> bytes;
};

// One of a message's own.
struct PlainArray {
  DType dtype = DType::kFloat64;
  Dims shape;
  FreshBytes data;

  template <class T>
  std::span<const T> view() const {
    return {reinterpret_cast<const T*>(data.span().data()), data.span().size() / sizeof(T)};
  }
  ArrayRef ref() const { return {dtype, shape, data.span()}; }
};
PlainArray make_array(DType dtype, Dims shape);

enum class CopyOp : std::uint32_t {
  kSum = 1,         // one array, uint8 or float64: its sum, as uint64 or float64
  kMatmul = 2,      // two 2-D float64 arrays: their product
  kMandelbrot = 3,  // no array: a part of the grid's counts, as int64
};

// A run of blocks of the whole grid's job, as the service cuts it.
struct MandelbrotPart {
  std::uint64_t nx, ny, max_iter;
  double x_min, x_max, y_min, y_max;
  std::uint64_t first_block, block_count;
};

// What a message says besides its arrays.
struct MessageHead {
  std::uint64_t message_bytes = 0;  // the head's included; filled in by serialize()
  std::uint32_t array_count = 0;    // filled in by serialize()
  CopyOp op = CopyOp::kSum;
  MandelbrotPart mandelbrot = {};  // of kMandelbrot
  double busy_seconds = 0;         // of an answer: the worker's time in the computation alone
};

struct Message {
  MessageHead head;
  std::vector<PlainArray> arrays;
};

FreshBytes serialize(MessageHead head, std::span<const ArrayRef> arrays);
Result<Message> deserialize(std::span<const std::byte> message);

Result<void> send_message(int socket, std::span<const std::byte> message);
// kNoServer where the other side has closed between two messages.
Result<FreshBytes> receive_message(int socket);

}  // namespace parcompute
