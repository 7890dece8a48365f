#include "worker/job_slot.h"

#include <algorithm>
#include <filesystem>
#include <new>
#include <utility>

#include <fmt/format.h>

#include "common/base/checked.h"
#include "common/operation/reserve.h"
#include "common/os/file_facts.h"
#include "common/shm/segment.h"

namespace parcompute {
namespace {

// Where the file is now, as far as that can be told.
std::string path_of(int fd) {
  std::error_code ignored;
  return std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", fd), ignored).native();
}

Result<View> view_of(const wire::Operand& operand, SegmentCache& segments) {
  auto spec = from_wire(operand.spec());
  if (!spec) return fail(spec.error());
  if (auto inside = check_spec(*spec, operand.data_bytes()); !inside) return fail(inside.error());
  const auto mapped = segments.map(operand);
  if (!mapped) return fail(mapped.error());
  return View{std::move(*spec), operand.label(), mapped->data, mapped->fd, operand.data_offset()};
}

// A chunk's steps, at the job's pace, until the clock says that its time is up.
class TimedSteps final : public Steps {
 public:
  // `redo`: where the chunk overwrites its operands.
  TimedSteps(Pace& pace, RedoLog* redo, std::uint64_t blocks, JobSlot::Clock::time_point now, JobSlot::Clock::time_point limit)
      : pace_(pace), redo_(redo), blocks_(blocks), limit_(limit), began_(now) {}

  std::uint64_t next() override {
    if (begun_ == blocks_) return 0;
    const bool is_over = begun_ > 0 && look() >= limit_;
    step_ = is_over ? 0 : std::min(std::max(pace_.step(), begun_by_others()), blocks_ - begun_);
    begun_ += step_;
    if (redo_ != nullptr) redo_->set_begun(begun_);
    return step_;
  }
  // All of them are done.
  JobSlot::Progress end() { return {begun_, look()}; }

 private:
  // What a worker before this one has begun cannot be given back.
  std::uint64_t begun_by_others() const { return redo_ != nullptr && begun_ == 0 ? redo_->begun() : 0; }

  // The step in hand is done, but for what a kernel still has on its way.
  JobSlot::Clock::time_point look() {
    const auto now = JobSlot::Clock::now();
    if (step_ > 0) pace_.note(step_, std::chrono::duration<double, std::nano>(now - began_).count());
    began_ = now;
    return now;
  }

  Pace& pace_;
  RedoLog* redo_;
  std::uint64_t blocks_, begun_ = 0;
  std::uint64_t step_ = 0;
  JobSlot::Clock::time_point limit_, began_;
};

}  // namespace

Error no_memory() {
  return {ErrorCode::kOverBudget, "a worker found no memory for its own work ('ulimit -v', vm.overcommit_memory): run fewer workers, or raise its limit", 0};
}

void JobSlot::open(std::span<const std::byte> description, std::vector<UniqueFd> fds, SegmentCache& segments, PlanMemory& plans,
                   RedoLog& redo) {
  kernel_.reset();  // before its operation is overwritten
  reserve_ranges_.clear();
  phase_blocks_.clear();
  files_.clear();
  refused_.reset();
  redo_ = nullptr;
  was_cut_short_ = false;
  pace_ = {};
  try {
    Result<void> ready = description_.ParseFromArray(description.data(), static_cast<int>(description.size()))
                             ? prepare(std::move(fds), segments, plans, redo)
                             : fail(ErrorCode::kComputationFailed, "the job's description cannot be read by this worker");
    if (!ready) refused_ = std::move(ready.error());
  } catch (const std::bad_alloc&) {
    refused_ = no_memory();
    was_cut_short_ = true;
  }
}

Result<void> JobSlot::prepare(std::vector<UniqueFd> fds, SegmentCache& segments, PlanMemory& plans, RedoLog& redo) {
  if (fds.size() != static_cast<std::size_t>(description_.new_segments_size()))
    return fail(ErrorCode::kComputationFailed,
                fmt::format("the job's description speaks of {} descriptors, {} came", description_.new_segments_size(), fds.size()));
  for (std::size_t i = 0; i < fds.size(); ++i)
    segments.add(SegmentId{description_.new_segments(static_cast<int>(i))}, std::move(fds[i]));

  KernelJob job{description_.operation(), {}, {}, {}, {}, &redo};
  // The output first: one that is also an operand is then mapped writable for both.
  std::optional<OperandInfo> into;
  if (description_.outputs_size() > 1) return fail(ErrorCode::kComputationFailed, "the job's description names more than one output");
  if (description_.outputs_size() == 1) {
    const wire::Operand& operand = description_.outputs(0);
    auto view = view_of(operand, segments);
    if (!view) return fail(view.error());
    if (operand.is_file()) files_.push_back({view->fd, operand.data_offset() + operand.data_bytes(), operand.label()});
    if (description_.output_exists()) into = OperandInfo{view->spec, view->label, operand.segment()};
    job.outputs.push_back(std::move(*view));
  }
  std::vector<OperandInfo> inputs;
  for (const wire::Operand& operand : description_.inputs()) {
    auto view = view_of(operand, segments);
    if (!view) return fail(view.error());
    if (operand.is_file()) files_.push_back({view->fd, operand.data_offset() + operand.data_bytes(), operand.label()});
    inputs.push_back({view->spec, view->label, operand.segment()});
    job.inputs.push_back(std::move(*view));
  }
  auto plan = plans.plan(description_.operation(), inputs, into ? &*into : nullptr);
  if (!plan) return fail(plan.error());
  job.plan = std::move(*plan);

  if (!job.outputs.empty() && !job.plan.output)
    return fail(ErrorCode::kComputationFailed, "the job's description names an output that its operation does not make");
  if (!job.outputs.empty() && job.outputs[0].spec != *job.plan.output)
    return fail(ErrorCode::kComputationFailed,
                fmt::format("output '{}' ({}) is not what the operation makes ({})", job.outputs[0].label, format_spec(job.outputs[0].spec),
                            format_spec(*job.plan.output)));
  if (job.plan.scratch_bytes > 0) {
    if (description_.scratch().data_bytes() < job.plan.scratch_bytes)
      return fail(ErrorCode::kComputationFailed, "the job's scratch area is smaller than its plan needs");
    const auto scratch = segments.map(description_.scratch());
    if (!scratch) return fail(scratch.error());
    scratch_fd_ = scratch->fd;
    job.scratch = {scratch->data, job.plan.scratch_bytes};
  }

  plan_reserve(job);
  for (const Phase& phase : job.plan.phases) phase_blocks_.push_back(phase.blocks);
  redo_ = job.plan.overwrites_operands ? &redo : nullptr;

  kernel_ = make_kernel(std::move(job));
  if (kernel_ == nullptr) return fail(ErrorCode::kUnsupported, "this worker has no kernel for the job's operation");
  return {};
}

Result<void> JobSlot::check(const ChunkDescriptor& chunk) const {
  if (refused_) return fail(*refused_);
  if (JobId{chunk.job} != job() || chunk.phase >= phase_blocks_.size())
    return fail(ErrorCode::kComputationFailed, fmt::format("the chunk's job {} or phase {} is not the one in its slot", chunk.job, chunk.phase));
  const std::uint64_t blocks = phase_blocks_[chunk.phase];
  if (chunk.block_count == 0 || chunk.first_block >= blocks || chunk.block_count > blocks - chunk.first_block)
    return fail(ErrorCode::kComputationFailed,
                fmt::format("blocks {} + {} are not among the {} of phase {}", chunk.first_block, chunk.block_count, blocks, chunk.phase));
  return {};
}

Result<JobSlot::Progress> JobSlot::run(const ChunkDescriptor& chunk, Clock::time_point now, Clock::time_point limit, ScalarBytes& value) {
  if (auto fits = check(chunk); !fits) return fail(fits.error());
  const bool overwrites = redo_ != nullptr && chunk.phase > 0 && chunk.phase + 1u == phase_blocks_.size();
  // Done by the worker before, which died before it could say so: one that fails ends without beginning another.
  if (overwrites && !redo_->begin(chunk.lease, chunk.first_block)) return Progress{chunk.block_count, now};
  RedoLog* const redo = overwrites ? redo_ : nullptr;
  if (files_.empty() || chunk.phase == 0) return run_steps(chunk, redo, now, limit, value);
  if (auto whole = check_files(); !whole) return fail(whole.error());
  auto done = run_steps(chunk, redo, now, limit, value);
  if (!done) return done;
  if (auto whole = check_files(); !whole) return fail(whole.error());
  return done;
}

Result<JobSlot::Progress> JobSlot::run_steps(const ChunkDescriptor& chunk, RedoLog* redo, Clock::time_point now, Clock::time_point limit, ScalarBytes& value) {
  if (std::exchange(pace_phase_, chunk.phase) != chunk.phase) pace_ = {};
  TimedSteps steps(pace_, redo, chunk.block_count, now, limit);
  const auto done = chunk.phase == 0 ? reserve(chunk.first_block, steps) : kernel_->run_steps(chunk.phase - 1u, chunk.first_block, steps, value);
  if (!done) return fail(done.error());
  return steps.end();
}

Result<void> JobSlot::check_files() const {
  for (const FileOperand& file : files_) {
    const auto facts = file_facts(file.fd, file.label);
    if (!facts) return fail(facts.error());
    if (facts->size < file.bytes) return fail(shortened_file(fmt::format("'{}' ({})", file.label, path_of(file.fd)), file.bytes, facts->size));
  }
  return {};
}

void JobSlot::plan_reserve(const KernelJob& job) {
  for (const View& output : job.outputs)
    if (!description_.output_exists()) reserve_ranges_.push_back({output.fd, output.data_offset, byte_count(output.spec), output.label});
  const std::uint64_t output_bytes = reserve_ranges_.empty() ? 0 : reserve_ranges_.front().bytes;
  if (job.plan.scratch_bytes > 0)
    reserve_ranges_.push_back({scratch_fd_, description_.scratch().data_offset(), job.plan.scratch_bytes, "the job's scratch area"});
  phase_blocks_.push_back(reserve_blocks(output_bytes, job.plan.scratch_bytes).all());
}

Result<void> JobSlot::reserve(std::uint64_t first, Steps& steps) const {
  while (const std::uint64_t count = steps.next()) {
    if (auto done = reserve({first, count}); !done) return done;
    first += count;
  }
  return {};
}

Result<void> JobSlot::reserve(BlockRange blocks) const {
  std::uint64_t range_first = 0;  // block number where the range at hand begins
  for (const ReserveRange& range : reserve_ranges_) {
    const std::uint64_t range_blocks = ceil_div(range.bytes, kReserveBlockBytes);
    const std::uint64_t first = std::max(blocks.first, range_first);
    const std::uint64_t end = std::min(blocks.first + blocks.count, range_first + range_blocks);
    if (first < end) {
      const std::uint64_t from = (first - range_first) * kReserveBlockBytes;
      const std::uint64_t to = std::min(range.bytes, (end - range_first) * kReserveBlockBytes);
      if (auto done = reserve_pages(range.fd, range.offset + from, to - from, range.label); !done) return done;
    }
    range_first += range_blocks;
  }
  return {};
}

}  // namespace parcompute
