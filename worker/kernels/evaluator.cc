#include "worker/kernels/evaluator.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "common/base/checked.h"
#include "common/base/invariant.h"
#include "worker/kernels/gather.h"
#include "worker/kernels/kernel.h"
#include "worker/kernels/product_sum.h"

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
  fused_ = fuse(program);
  for (Source& source : sources) {
    Input input{coalesced(source.spec), first_element(source.spec, source.data), Access::kGathered, nullptr, 0};
    if (!source.spec.strides.empty()) input.along = source.spec.strides.back();
    const bool single = std::all_of(input.spec.strides.begin(), input.spec.strides.end(), [](std::int64_t stride) { return stride == 0; });
    const bool dense = input.spec.ndim() == 1 && input.spec.strides[0] == static_cast<std::int64_t>(itemsize(input.spec.dtype));
    if (is_aligned_at(input.spec, input.first)) input.access = single ? Access::kSingle : dense && !in_tiles ? Access::kDense : Access::kGathered;
    input.spec.offset = 0;
    inputs_.push_back(std::move(input));
  }

  // One loop that reads its inputs where they are leaves nothing in between: the longer, the better.
  const auto gathered = [](const Input& input) { return input.access == Access::kGathered; };
  if (fused_ && std::none_of(inputs_.begin(), inputs_.end(), gathered)) strip_ = kMostStrip;
  const std::size_t room = std::max(strip_, longest);

  // Strips one behind the other: of gathered inputs, of temporaries, and of one value where the result has no others.
  std::vector<std::byte**> strips;
  std::vector<std::size_t> sizes;
  for (Input& input : inputs_)
    if (gathered(input)) {
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
  ahead_.resize(inputs_.size());
  registers_.resize(program.registers());
  is_single_.resize(program.registers());
  for (std::size_t i = 0; i < program.constants.size(); ++i) {
    registers_[inputs_.size() + i] = program.constants[i].value.data();
    is_single_[inputs_.size() + i] = 1;
  }
}

std::optional<Evaluator::Whole> Evaluator::whole(bool for_sums) const {
  const auto& code = program_.code;
  const auto dense = [&](Register from) { return from < inputs_.size() && inputs_[from].access == Access::kDense ? inputs_[from].first : nullptr; };
  const auto both = [&](Addend addend, Register x, Register y) -> std::optional<Whole> {
    if (dense(x) == nullptr || dense(y) == nullptr) return std::nullopt;
    return Whole{addend, dense(x), dense(y)};
  };
  if (code.empty()) return both(Addend::kElement, program_.result, program_.result);
  if (!for_sums || code.size() > 2 || program_.result != code.back().out) return std::nullopt;
  if (program_.dtype != DType::kFloat32 && program_.dtype != DType::kFloat64) return std::nullopt;
  for (const Instruction& each : code)
    if (each.kind != Instruction::Kind::kApply || each.dtype != program_.dtype || each.to != program_.dtype) return std::nullopt;
  const Instruction& last = code.back();
  const bool squares = last.op == Op::kSquare || (last.op == Op::kMultiply && last.in[0] == last.in[1]);
  if (code.size() == 1) {
    if (squares) return both(Addend::kProduct, last.in[0], last.in[0]);
    return last.op == Op::kMultiply ? both(Addend::kProduct, last.in[0], last.in[1]) : std::nullopt;
  }
  const Instruction& difference = code.front();
  if (difference.op != Op::kSubtract || last.in[0] != difference.out) return std::nullopt;
  if (squares) return both(Addend::kSquaredDifference, difference.in[0], difference.in[1]);
  return last.op == Op::kAbsolute ? both(Addend::kDistance, difference.in[0], difference.in[1]) : std::nullopt;
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

std::optional<Evaluator::Fused> Evaluator::fuse(const Program& program) {
  const auto& code = program.code;
  const std::size_t first_temporary = program.inputs.size() + program.constants.size();
  if (code.size() < 2 || code.size() > 3) return std::nullopt;
  const Instruction& last = code.back();
  Fused fused;
  fused.dtype = last.dtype;
  fused.subtracts = last.op == Op::kSubtract;
  if ((last.op != Op::kAdd && last.op != Op::kSubtract) || program.result != last.out) return std::nullopt;
  if (last.dtype != DType::kFloat32 && last.dtype != DType::kFloat64) return std::nullopt;
  for (const Instruction& each : code)
    if (each.kind != Instruction::Kind::kApply || each.dtype != last.dtype || each.to != last.dtype) return std::nullopt;
  const Instruction* products[2] = {};
  for (std::size_t i = 0; i + 1 < code.size(); ++i) {
    const bool squares = code[i].op == Op::kSquare;
    if ((!squares && code[i].op != Op::kMultiply) || code[i].in[0] >= first_temporary || code[i].in[squares ? 0 : 1] >= first_temporary) return std::nullopt;
    // Made for one of the sum's sides, and for that alone.
    if ((code[i].out == last.in[0]) == (code[i].out == last.in[1])) return std::nullopt;
    const Instruction*& place = products[code[i].out == last.in[0] ? 0 : 1];
    if (place != nullptr) return std::nullopt;
    place = &code[i];
  }
  for (std::size_t side = 0; side < 2; ++side) {
    const Instruction* product = products[side];
    if (product == nullptr && last.in[side] >= first_temporary) return std::nullopt;
    fused.in[2 * side] = product != nullptr ? product->in[0] : last.in[side];
    fused.in[2 * side + 1] = product == nullptr ? Fused::kOne : product->op == Op::kSquare ? product->in[0] : product->in[1];
  }
  return fused;
}

void Evaluator::read_all(std::uint64_t first, std::size_t count) {
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    registers_[i] = read(inputs_[i], first, count);
    is_single_[i] = inputs_[i].access == Access::kSingle;
  }
}

// False where the result is one element for all: that is made once.
bool Evaluator::run_fused(std::size_t count, std::byte* to, bool streams) const {
  static constexpr double kOne64 = 1;
  static constexpr float kOne32 = 1;
  ProductSum sum;
  for (std::size_t k = 0; k < 4; ++k) {
    const Register from = fused_->in[k];
    if (from == Fused::kOne) sum.in[k] = fused_->dtype == DType::kFloat32 ? static_cast<const void*>(&kOne32) : &kOne64;
    else sum.in[k] = registers_[from];
    sum.is_single[k] = from == Fused::kOne || is_single_[from] != 0;
  }
  if (std::all_of(sum.is_single.begin(), sum.is_single.end(), [](bool single) { return single; })) return false;
  sum.subtracts = fused_->subtracts;
  sum.out = to;
  sum.count = count;
  sum.streams = streams;
  add_products(fused_->dtype, sum);
  return true;
}

Result<void> Evaluator::stream(std::uint64_t first, std::size_t count, std::byte* to, std::size_t ahead) {
  if (fused_) {
    read_all(first, count);
    if (run_fused(count, to, true)) return {};
  }
  const auto computed = run(first, count);
  if (!computed) return fail(computed.error());
  std::size_t dense = 0;
  for (const Input& input : inputs_)
    if (const std::uint64_t size = itemsize(input.spec.dtype); input.access == Access::kDense) ahead_[dense++] = {input.first + (first + count) * size, ahead * size};
  stream_copy(to, *computed, count * itemsize(program_.dtype), std::span(ahead_).first(dense));
  return {};
}

Result<const std::byte*> Evaluator::run(std::uint64_t first, std::size_t count, std::byte* into) {
  read_all(first, count);
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
  if (fused_) {
    std::byte* out = into != nullptr ? into : temporaries_[program_.result - first_temporary];
    if (run_fused(count, out, false)) return out;
  }
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
