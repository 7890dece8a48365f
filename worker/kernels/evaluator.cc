#include "worker/kernels/evaluator.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "common/base/checked.h"
#include "common/base/invariant.h"
#include "worker/kernels/gather.h"

namespace parcompute {
namespace {

// What all registers of a program may take of the L1 cache, inputs that pass through it included.
constexpr std::size_t kCacheBytes = 24 * 1024;
constexpr std::size_t kLeastStrip = 256, kMostStrip = 4096;
constexpr std::size_t kAlignment = 64;

bool is_aligned_at(const ArraySpec& spec, const std::byte* first) {
  ArraySpec at_zero = spec;
  at_zero.offset = reinterpret_cast<std::uintptr_t>(first);
  return is_aligned(at_zero);
}

}  // namespace

void Evaluator::Free::operator()(std::byte* bytes) const {
  ::operator delete(bytes, std::align_val_t{kAlignment});
}

Evaluator::Evaluator(const Program& program, std::vector<Source> sources, std::size_t longest, bool in_tiles) : program_(program) {
  std::size_t element_bytes = 0;
  for (const ProgramInput& input : program.inputs) element_bytes += itemsize(input.spec.dtype);
  std::size_t widest = itemsize(program.dtype);
  for (const Instruction& instruction : program.code) widest = std::max<std::size_t>(widest, itemsize(instruction.to));
  element_bytes += program.temporaries * widest;
  strip_ = std::clamp(std::bit_floor(kCacheBytes / std::max<std::size_t>(1, element_bytes)), kLeastStrip, kMostStrip);
  const std::size_t room = std::max(strip_, longest);

  for (Source& source : sources) {
    Input input{coalesced(source.spec), source.data + source.spec.offset, Access::kGathered, nullptr, 0};
    if (!source.spec.strides.empty()) input.along = source.spec.strides.back();
    const bool single = std::all_of(input.spec.strides.begin(), input.spec.strides.end(), [](std::int64_t stride) { return stride == 0; });
    const bool dense = input.spec.ndim() == 1 && input.spec.strides[0] == static_cast<std::int64_t>(itemsize(input.spec.dtype));
    if (is_aligned_at(input.spec, input.first)) input.access = single ? Access::kSingle : dense && !in_tiles ? Access::kDense : Access::kGathered;
    input.spec.offset = 0;
    inputs_.push_back(std::move(input));
  }

  // Strips one behind the other: of gathered inputs, of temporaries, and of one value where the result has no others.
  std::vector<std::byte**> strips;
  std::vector<std::size_t> sizes;
  for (Input& input : inputs_)
    if (input.access == Access::kGathered) {
      strips.push_back(&input.strip);
      sizes.push_back(round_up(room * itemsize(input.spec.dtype), kAlignment));
    }
  temporaries_.resize(program.temporaries);
  for (std::byte*& temporary : temporaries_) {
    strips.push_back(&temporary);
    sizes.push_back(round_up(room * widest, kAlignment));
  }
  strips.push_back(&filled_);
  sizes.push_back(round_up(room * widest, kAlignment));
  std::size_t total = 0;
  for (const std::size_t size : sizes) total += size;
  memory_.reset(static_cast<std::byte*>(::operator new(total, std::align_val_t{kAlignment})));
  std::byte* at = memory_.get();
  for (std::size_t i = 0; i < strips.size(); ++i) {
    *strips[i] = at;
    at += sizes[i];
  }

  for (const Instruction& instruction : program.code) {
    const bool is_cast = instruction.kind == Instruction::Kind::kCast;
    loops_.push_back(is_cast ? find_cast(instruction.dtype, instruction.to) : find_loop(instruction.op, instruction.dtype));
    PARCOMPUTE_INVARIANT(loops_.back() != nullptr);  // verify() has seen the program
  }
  registers_.resize(program.registers());
  is_single_.resize(program.registers());
  for (std::size_t i = 0; i < program.constants.size(); ++i) {
    registers_[inputs_.size() + i] = program.constants[i].value.data();
    is_single_[inputs_.size() + i] = 1;
  }
}

const std::byte* Evaluator::whole() const {
  if (!program_.code.empty() || program_.result >= inputs_.size()) return nullptr;
  const Input& input = inputs_[program_.result];
  return input.access == Access::kDense ? input.first : nullptr;
}

const std::byte* Evaluator::read(Input& input, std::uint64_t first, std::size_t count) const {
  switch (input.access) {
    case Access::kSingle: return input.first;
    case Access::kDense: return input.first + first * itemsize(input.spec.dtype);
    case Access::kGathered: break;
  }
  gather(input.spec, input.first, first, count, input.strip);
  return input.strip;
}

namespace {

// Column by column, for rows whose elements at one column are near: those are read one after the other.
template <std::size_t kSize>
void read_columns(const std::byte* const* from, std::size_t rows, std::int64_t along, std::size_t columns, std::byte* to) {
  for (std::size_t c = 0; c < columns; ++c, to += kSize)
    for (std::size_t r = 0; r < rows; ++r) std::memcpy(to + r * columns * kSize, from[r] + static_cast<std::int64_t>(c) * along, kSize);
}

}  // namespace

void Evaluator::read_tile(const Input& input, std::uint64_t row, std::uint64_t first_row, std::size_t rows, std::uint64_t column, std::size_t columns) const {
  constexpr std::size_t kMostRows = 256;
  const std::byte* from[kMostRows];
  PARCOMPUTE_INVARIANT(rows <= kMostRows);
  const std::size_t size = itemsize(input.spec.dtype);
  for (std::size_t r = 0; r < rows; ++r)
    from[r] = input.first + element_offset(input.spec, (first_row + r) * row) + static_cast<std::int64_t>(column) * input.along;
  if (input.along == static_cast<std::int64_t>(size)) {
    for (std::size_t r = 0; r < rows; ++r) std::memcpy(input.strip + r * columns * size, from[r], columns * size);
    return;
  }
  switch (size) {
    case 1: return read_columns<1>(from, rows, input.along, columns, input.strip);
    case 2: return read_columns<2>(from, rows, input.along, columns, input.strip);
    case 4: return read_columns<4>(from, rows, input.along, columns, input.strip);
    case 8: return read_columns<8>(from, rows, input.along, columns, input.strip);
    default: return read_columns<16>(from, rows, input.along, columns, input.strip);
  }
}

Result<const std::byte*> Evaluator::run(std::uint64_t first, std::size_t count, std::byte* into) {
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    registers_[i] = read(inputs_[i], first, count);
    is_single_[i] = inputs_[i].access == Access::kSingle;
  }
  return execute(count, into);
}

Result<const std::byte*> Evaluator::run_tile(std::uint64_t row, std::uint64_t first_row, std::size_t rows, std::uint64_t column, std::size_t columns) {
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    const bool is_single = inputs_[i].access == Access::kSingle;
    if (!is_single) read_tile(inputs_[i], row, first_row, rows, column, columns);
    registers_[i] = is_single ? inputs_[i].first : inputs_[i].strip;
    is_single_[i] = is_single;
  }
  return execute(rows * columns, nullptr);
}

Result<const std::byte*> Evaluator::execute(std::size_t count, std::byte* into) {
  const std::size_t first_temporary = inputs_.size() + program_.constants.size();
  for (std::size_t i = 0; i < program_.code.size(); ++i) {
    const Instruction& instruction = program_.code[i];
    Strip strip;
    bool all_single = true;
    for (std::size_t operand = 0; operand < instruction.operands; ++operand) {
      strip.in[operand] = registers_[instruction.in[operand]];
      strip.is_single[operand] = is_single_[instruction.in[operand]] != 0;
      all_single = all_single && strip.is_single[operand];
    }
    std::byte* out = temporaries_[instruction.out - first_temporary];
    if (into != nullptr && i + 1 == program_.code.size() && !all_single) out = into;
    if (all_single) std::fill_n(strip.is_single, 3, false);  // one dense element
    strip.out = out;
    strip.count = all_single ? 1 : count;
    if (loops_[i](strip) == LoopFault::kNegativePower)
      return fail(ErrorCode::kComputationFailed, "integers to negative integer powers have no integer result: cast the base to a float first");
    registers_[instruction.out] = out;
    is_single_[instruction.out] = all_single;
  }
  const std::byte* result = registers_[program_.result];
  if (is_single_[program_.result] == 0) return result;
  const std::size_t size = itemsize(program_.dtype);
  std::byte* filled = into != nullptr ? into : filled_;
  for (std::size_t i = 0; i < count; ++i) std::memcpy(filled + i * size, result, size);
  return filled;
}

}  // namespace parcompute
