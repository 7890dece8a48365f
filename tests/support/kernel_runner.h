// KernelRunner: a job's kernels without processes. Plans the operation, makes its output and scratch, and
// runs the blocks as a pool would: cut into runs, in any order, by several kernels, some of them twice.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "common/operation/operation.h"
#include "worker/kernels/blas.h"
#include "worker/kernels/kernel.h"
#include "worker/kernels/redo_log.h"

namespace parcompute::testing {

// Page-aligned bytes, as segments' data are, shifted by `shift`.
class Buffer {
 public:
  explicit Buffer(std::size_t size = 0, std::size_t shift = 0) : size_(size), shift_(shift) {
    bytes_.reset(static_cast<std::byte*>(::operator new(size + shift + 1, kAlignment)));
    std::memset(bytes_.get(), 0, size + shift + 1);
  }
  std::byte* data() { return bytes_.get() + shift_; }
  const std::byte* data() const { return bytes_.get() + shift_; }
  std::size_t size() const { return size_; }

 private:
  static constexpr std::align_val_t kAlignment{4096};
  struct Free {
    void operator()(std::byte* bytes) const { ::operator delete(bytes, kAlignment); }
  };
  std::unique_ptr<std::byte, Free> bytes_;
  std::size_t size_;
  std::size_t shift_;
};

// An operand and the memory behind it.
struct Operand {
  ArraySpec spec;
  Buffer buffer;
  std::string label = "a";

  View view() { return {spec, label, element_count(spec) == 0 ? nullptr : buffer.data(), -1, 0}; }
};

// A dense operand of these elements.
template <class T>
Operand operand_of(const std::vector<T>& elements, Dims shape, std::size_t shift = 0,
                   Order order = Order::kC) {
  Operand operand{*make_spec(dtype_of<T>(), std::move(shape), order),
                  Buffer(elements.size() * sizeof(T), shift)};
  std::size_t at = 0;
  for (const T x : elements) {
    std::memcpy(operand.buffer.data() + at, &x, sizeof x);
    at += sizeof x;
  }
  return operand;
}

struct RunOptions {
  std::uint32_t seed = 0;        // 0: every phase in one run, in order, by one kernel
  bool with_output = true;       // a scalar job may have none
  std::size_t output_shift = 0;  // of the output's address: a multiple of the item size
  // A view that exists, which takes the result; the outcome has no output of its own then. Inputs with the same `data` lie
  // in the same memory.
  const View* into = nullptr;
};

struct Outcome {
  ScalarBytes scalar{};
  Plan plan;
  Buffer output;

  template <class T>
  T scalar_as() const {
    T x;
    std::memcpy(&x, scalar.data(), sizeof x);
    return x;
  }
  template <class T>
  std::vector<T> output_as() const {
    std::vector<T> elements(output.size() / sizeof(T));
    if (!elements.empty()) std::memcpy(elements.data(), output.data(), output.size());
    return elements;
  }
};

inline const KernelRow& kernel_row(wire::Operation::KindCase kind) {
  return *std::find_if(kernels().begin(), kernels().end(),
                       [&](const KernelRow& row) { return row.kind == kind; });
}

inline Result<Outcome> run_job(const wire::Operation& operation, std::vector<View> inputs,
                               RunOptions options = {}) {
  hold_blas_at_one_thread();  // as every worker does
  std::vector<OperandInfo> operands;
  for (const View& input : inputs)
    operands.push_back({input.spec, input.label, options.into != nullptr && options.into->data == input.data ? 1U : 0U});
  std::optional<OperandInfo> into;
  if (options.into != nullptr) into = OperandInfo{options.into->spec, options.into->label, 1};
  auto plan = plan_operation(operation, operands, into ? &*into : nullptr);
  if (!plan) return fail(plan.error());

  Outcome outcome;
  outcome.plan = *plan;
  std::vector<View> outputs;
  if (plan->output && into) {
    outputs.push_back(*options.into);
  } else if (plan->output && options.with_output) {
    outcome.output = Buffer(byte_count(*plan->output), options.output_shift);
    // Whatever a kernel does not write is seen. Without phases there is no kernel, and fresh pages are zero.
    if (!plan->phases.empty()) std::memset(outcome.output.data(), 0xA5, outcome.output.size());
    outputs.push_back({*plan->output, "out", outcome.output.data(), -1, 0});
  }
  Buffer scratch(plan->scratch_bytes);

  std::mt19937 random(options.seed);
  std::vector<Buffer> logs;  // short ones, so that chunks have several pieces
  std::vector<std::unique_ptr<RedoLog>> redo;
  std::vector<std::unique_ptr<Kernel>> pool;
  std::uint64_t lease = 0;
  if (plan->phases.empty()) return outcome;
  for (int i = 0; i < (options.seed == 0 ? 1 : 3); ++i) {
    Buffer& log = logs.emplace_back(RedoLog::kHeaderBytes + 8192);
    redo.push_back(std::make_unique<RedoLog>(std::span(log.data(), log.size())));
    pool.push_back(make_kernel(KernelJob{operation, *plan, inputs, outputs, {scratch.data(), scratch.size()}, redo.back().get()}));
  }
  for (std::size_t phase = 0; phase < plan->phases.size(); ++phase) {
    const std::uint64_t blocks = plan->phases[phase].blocks;
    std::vector<BlockRange> runs;
    if (options.seed == 0) {
      runs.push_back({0, blocks});
    } else {
      for (std::uint64_t first = 0; first < blocks;) {
        const std::uint64_t most = std::min<std::uint64_t>(blocks - first, 1 + random() % 7);
        runs.push_back({first, 1 + random() % most});
        first += runs.back().count;
        if (random() % 8 == 0) runs.push_back(runs.back());
      }
      if (!plan->overwrites_operands || phase + 1 < plan->phases.size()) std::shuffle(runs.begin(), runs.end(), random);
    }
    // A chunk that overwrites its operands comes again to the same place alone.
    const bool overwrites = plan->overwrites_operands && phase + 1 == plan->phases.size();
    const BlockRange* last = nullptr;
    std::size_t place = 0;
    for (const BlockRange& run : runs) {
      const bool again = last != nullptr && last->first == run.first && last->count == run.count;
      if (!overwrites || !again) place = random() % pool.size();
      last = &run;
      if (overwrites && !redo[place]->begin(again ? lease : ++lease, run.first)) continue;
      // In steps, as workers compute a chunk.
      for (std::uint64_t done = 0; done < run.count;) {
        const std::uint64_t step = options.seed == 0 ? run.count : 1 + random() % (run.count - done);
        if (auto ok = pool[place]->run(phase, {run.first + done, step}, outcome.scalar); !ok) return fail(ok.error());
        done += step;
      }
    }
  }
  return outcome;
}

}  // namespace parcompute::testing
