// Runs a loop on bytes: at chosen alignments, on parts, with single operands, in place.
#pragma once

#include <cstddef>
#include <cstring>
#include <vector>

#include "worker/kernels/loops.h"

namespace parcompute::testing {

using Bytes = std::vector<std::byte>;

struct LoopOperand {
  const std::byte* data;
  std::size_t itemsize;
  bool is_single = false;
};

struct LoopRun {
  std::size_t shift = 0;  // of every address from an aligned one
  int in_place = -1;      // the operand whose address `out` is
  LoopFault fault = LoopFault::kNone;
};

// The output's bytes; what stands before and behind it must stay as it was.
inline Bytes run_loop(Loop loop, const std::vector<LoopOperand>& operands, std::size_t count, std::size_t out_itemsize,
                      LoopRun& run, bool& touched_outside) {
  constexpr std::size_t kGuard = 64;
  constexpr std::byte kMark{0xA5};
  const std::size_t size = count * out_itemsize;
  std::vector<Bytes> buffers;
  Strip strip;
  strip.count = count;
  Bytes* target = nullptr;
  std::size_t target_size = 0;
  for (std::size_t k = 0; k < operands.size(); ++k) {
    const LoopOperand& operand = operands[k];
    const std::size_t bytes = (operand.is_single ? 1 : count) * operand.itemsize;
    const std::size_t room = static_cast<int>(k) == run.in_place && size > bytes ? size : bytes;
    Bytes& buffer = buffers.emplace_back(kGuard + run.shift + room + kGuard, kMark);
    if (bytes != 0) std::memcpy(buffer.data() + kGuard + run.shift, operand.data, bytes);
    if (static_cast<int>(k) == run.in_place) target_size = room;
  }
  Bytes own(kGuard + run.shift + size + kGuard, kMark);
  target = &own;
  if (run.in_place < 0) target_size = size;
  for (std::size_t k = 0; k < operands.size(); ++k) {
    strip.in[k] = buffers[k].data() + kGuard + run.shift;
    strip.is_single[k] = operands[k].is_single;
    if (static_cast<int>(k) == run.in_place) target = &buffers[k];
  }
  strip.out = target->data() + kGuard + run.shift;
  run.fault = loop(strip);
  touched_outside = false;
  for (std::size_t i = 0; i < target->size(); ++i) {
    const bool outside = i < kGuard + run.shift || i >= kGuard + run.shift + target_size;
    if (outside && (*target)[i] != kMark) touched_outside = true;
  }
  const auto* out = target->data() + kGuard + run.shift;
  return {out, out + size};
}

}  // namespace parcompute::testing
