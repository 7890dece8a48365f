#include <algorithm>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "common/array/view.h"
#include "common/expression/terms.h"

namespace parcompute::expression {
namespace {

template <class T>
void append(std::string& key, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  key.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void append(std::string& key, const Dims& dims) {
  append(key, dims.size());
  for (const std::int64_t dim : dims) append(key, dim);
}

std::string key_of(const Term& term) {
  std::string key;
  append(key, term.kind);
  append(key, term.dtype);
  append(key, term.shape);
  append(key, term.operand);
  append(key, term.view.offset);
  append(key, term.view.strides);
  append(key, term.value);
  append(key, term.op);
  for (const TermId in : term.in) append(key, in);
  append(key, term.reduction.reducer);
  append(key, term.reduction.keepdims);
  append(key, term.reduction.ddof);
  for (const bool axis : term.reduction.axes) key += axis ? '1' : '0';
  return key;
}

// ---- from terms to programs

// The registers of one stage while its program is written.
class ProgramWriter {
 public:
  ProgramWriter(const Terms& terms, const std::map<TermId, std::uint32_t>& stage_of, const std::vector<Stage>& stages, const Dims& shape)
      : terms_(terms), stage_of_(stage_of), stages_(stages), shape_(shape) {}

  Result<Program> write(TermId result) {
    collect(result);
    for (const TermId id : order_)
      if (!is_leaf(id))
        for (const TermId in : terms_[id].in) last_use_[in] = id;
    // Inputs and constants first: their registers are known before the temporaries'.
    for (const TermId id : order_)
      if (const Term& term = terms_[id]; is_leaf(id) && term.kind != Term::Kind::kConstant) {
        ProgramInput input;
        if (term.kind == Term::Kind::kReduce) {
          input.from = ProgramInput::From::kStage;
          input.index = stage_of_.at(id);
          input.spec = stages_[input.index].result;
        } else {
          input.index = term.operand;
          input.spec = term.view;
        }
        auto spec = broadcast_to(input.spec, shape_);
        if (!spec) return fail(spec.error());
        input.spec = *std::move(spec);
        register_of_[id] = static_cast<Register>(program_.inputs.size());
        program_.inputs.push_back(std::move(input));
      }
    for (const TermId id : order_)
      if (const Term& term = terms_[id]; term.kind == Term::Kind::kConstant) {
        register_of_[id] = static_cast<Register>(program_.inputs.size() + program_.constants.size());
        program_.constants.push_back({term.dtype, term.value});
      }
    for (const TermId id : order_)
      if (!is_leaf(id)) write_instruction(id);
    program_.result = register_of_.at(result);
    program_.dtype = terms_[result].dtype;
    if (program_.registers() > kMaxRegisters) return fail(ErrorCode::kInvalidArgument, "the expression is too large: split it");
    return std::move(program_);
  }

 private:
  // A reduction is what an earlier stage has left, unless it is this stage's own; then it is never asked about here.
  bool is_leaf(TermId id) const { return terms_[id].kind != Term::Kind::kApply && terms_[id].kind != Term::Kind::kCast; }

  // Operands before what uses them. Terms are numbered that way.
  void collect(TermId result) {
    std::vector<TermId> open{result};
    while (!open.empty()) {
      const TermId id = open.back();
      open.pop_back();
      if (std::find(order_.begin(), order_.end(), id) != order_.end()) continue;
      order_.push_back(id);
      if (!is_leaf(id)) open.insert(open.end(), terms_[id].in.begin(), terms_[id].in.end());
    }
    std::sort(order_.begin(), order_.end());
  }

  void write_instruction(TermId id) {
    const Term& term = terms_[id];
    Instruction instruction;
    instruction.kind = term.kind == Term::Kind::kCast ? Instruction::Kind::kCast : Instruction::Kind::kApply;
    instruction.op = term.op;
    instruction.dtype = terms_[term.in.back()].dtype;
    instruction.to = term.dtype;
    instruction.operands = static_cast<std::uint8_t>(term.in.size());
    std::vector<Register> free_after;
    std::optional<Register> reusable;
    for (std::size_t i = 0; i < term.in.size(); ++i) {
      const TermId in = term.in[i];
      instruction.in[i] = register_of_.at(in);
      const bool ends_here = !is_leaf(in) && last_use_.at(in) == id;
      if (!ends_here || std::find(free_after.begin(), free_after.end(), instruction.in[i]) != free_after.end()) continue;
      free_after.push_back(instruction.in[i]);
      if (itemsize(terms_[in].dtype) == itemsize(term.dtype)) reusable = instruction.in[i];
    }
    if (reusable) {
      instruction.out = *reusable;
      std::erase(free_after, *reusable);
    } else if (!free_.empty()) {
      instruction.out = free_.back();
      free_.pop_back();
    } else {
      instruction.out = static_cast<Register>(program_.inputs.size() + program_.constants.size() + program_.temporaries++);
    }
    free_.insert(free_.end(), free_after.begin(), free_after.end());
    register_of_[id] = instruction.out;
    program_.code.push_back(instruction);
  }

  const Terms& terms_;
  const std::map<TermId, std::uint32_t>& stage_of_;
  const std::vector<Stage>& stages_;
  const Dims& shape_;
  Program program_;
  std::vector<TermId> order_;
  std::map<TermId, TermId> last_use_;
  std::map<TermId, Register> register_of_;
  std::vector<Register> free_;
};

}  // namespace

TermId Terms::add(Term term) {
  const auto [known, is_new] = known_.emplace(key_of(term), static_cast<TermId>(terms_.size()));
  if (is_new) terms_.push_back(std::move(term));
  return known->second;
}

TermId Terms::constant(DType dtype, ElementBytes value, Dims shape) {
  Term term;
  term.dtype = dtype;
  term.shape = std::move(shape);
  term.value = value;
  return add(std::move(term));
}

TermId Terms::cast(TermId id, DType dtype) {
  const Term& from = terms_[id];
  if (from.dtype == dtype) return id;
  Term term;
  term.kind = Term::Kind::kCast;
  term.dtype = dtype;
  term.shape = from.shape;
  term.in = {id};
  return add(std::move(term));
}

Result<TermId> Terms::apply(Op op, std::vector<TermId> in) {
  Term term;
  term.kind = Term::Kind::kApply;
  term.op = op;
  term.dtype = result_dtype(op, terms_[in.back()].dtype);
  for (const TermId id : in) {
    auto shape = broadcast_shapes(term.shape, terms_[id].shape);
    if (!shape) return fail(shape.error());
    term.shape = *std::move(shape);
  }
  // Small arrays can stretch to more elements than can be counted, even where a reduction makes few of them again.
  if (!make_spec(DType::kComplex128, term.shape))
    return fail(ErrorCode::kOverBudget, fmt::format("the shape {} has more elements than any memory; choose smaller ones", format_shape(term.shape)));
  term.in = std::move(in);
  return add(std::move(term));
}

Result<Evaluation> schedule(const Terms& terms, TermId root) {
  // The reductions that the result needs, in the order of their terms, so that a stage reads earlier ones alone; then the
  // result itself, where it is none.
  std::vector<bool> needed(terms.size());
  needed[root] = true;
  for (TermId id = root + 1; id-- > 0;)
    if (needed[id])
      for (const TermId in : terms[id].in) needed[in] = true;
  std::vector<TermId> heads;
  for (TermId id = 0; id <= root; ++id)
    if (needed[id] && (terms[id].kind == Term::Kind::kReduce || id == root)) heads.push_back(id);
  if (heads.size() > kMaxStages) return fail(ErrorCode::kInvalidArgument, "the expression holds too many reductions: split it");

  Evaluation evaluation;
  std::map<TermId, std::uint32_t> stage_of;
  for (const TermId head : heads) {
    const Term& term = terms[head];
    const bool reduces = term.kind == Term::Kind::kReduce;
    const TermId computed = reduces ? term.in[0] : head;
    Stage stage;
    stage.shape = terms[computed].shape;
    auto program = ProgramWriter(terms, stage_of, evaluation.stages, stage.shape).write(computed);
    if (!program) return fail(program.error());
    stage.program = *std::move(program);
    if (reduces) stage.reduction = term.reduction;
    auto result = make_spec(term.dtype, term.shape);
    if (!result) return fail(result.error());
    stage.result = *std::move(result);
    stage_of[head] = static_cast<std::uint32_t>(evaluation.stages.size());
    evaluation.stages.push_back(std::move(stage));
  }
  return evaluation;
}

}  // namespace parcompute::expression
