#include "server/core/array_keeper.h"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <utility>

#include <fmt/format.h>

#include "common/base/units.h"
#include "common/shm/segment_header.h"
#include "server/core/shares.h"

namespace parcompute::server {
namespace {

// Spare segments are at most so many, for each costs a descriptor, and wait so long for their next array.
constexpr std::size_t kMaxSpares = 64;
constexpr std::chrono::seconds kSpareLife{10};
// How often it is looked whether clients still have what was removed.
constexpr std::chrono::seconds kHeldLook{1};
// And least time between two looks where somebody would be refused: there may be very many.
constexpr std::chrono::milliseconds kLookPause{50};
// Memory above this is freed by a worker, not by the loop: it takes 0.1 s a GiB.
constexpr std::uint64_t kFreeInLoopBytes = 1024 * 1024;

SegmentHeader header_of(const Array& array, bool complete) {
  return SegmentHeader{array.spec, array.name, array.owner_uid, complete, array.data_offset, array.data_bytes, array.mode};
}

SegmentHeader scratch_header(uid_t owner_uid, std::uint64_t bytes) {
  return SegmentHeader{{DType::kUint8, {static_cast<std::int64_t>(bytes)}, {1}, 0}, "", owner_uid, false, segment_data_offset(bytes), bytes};
}

}  // namespace

Result<void> ArrayKeeper::check_one_more(uid_t owner_uid) {
  return with_another_look([&] { return check_array_share(state_, owner_uid); });
}

Result<void> ArrayKeeper::with_another_look(const std::function<Result<void>()>& check) {
  auto ok = check();
  if (ok || state_.memory.held().empty() || effects_.now() < looked_ + kLookPause) return ok;
  let_go_of_released();
  return check();
}

Result<void> ArrayKeeper::admit(uid_t owner_uid, std::uint64_t bytes, std::string_view what) {
  if (auto ok = with_another_look([&] { return check_memory_share(state_, owner_uid, bytes, what); }); !ok) return ok;
  const MemoryLedger& memory = state_.memory;
  const std::uint64_t limit = memory.limits().bytes;
  const auto is_over = [&] { return bytes > limit || memory.taken_bytes() > limit - bytes; };
  if (is_over()) let_go_of_released();
  if (is_over()) {
    const std::string& source = memory.limits().source;
    const auto raise = source == "configured" ? "start the server with more --memory"
                                              : fmt::format("raise the limit, which is {}'s: --memory can only lower it", source);
    const std::uint64_t held = memory.bytes(MemoryState::kHeld);
    const auto of_these = held == 0 ? "" : fmt::format(" ({} by removed arrays that clients still have)", format_bytes(held));
    return fail(ErrorCode::kOverBudget,
                fmt::format("{} needs {}; {} of the server's {} are in use{}: remove arrays with 'parcompute-client array rm', or {}", what,
                            format_bytes(bytes), format_bytes(memory.taken_bytes()), format_bytes(limit), of_these, raise));
  }
  // Another program may be taking the same memory: what is promised to others is not free either; what spare segments take is, and
  // what workers are giving back.
  const auto untouched = effects_.free_bytes();
  if (!untouched) return fail(untouched.error().code, fmt::format("{} needs {}, and whether there is so much cannot be told: {}", what, format_bytes(bytes), untouched.error().message));
  const std::uint64_t free = *untouched + memory.bytes(MemoryState::kSpare) + memory.bytes(MemoryState::kFreeing);
  const std::uint64_t left = free > memory.promised_bytes() ? free - memory.promised_bytes() : 0;
  if (bytes > left)
    return fail(ErrorCode::kOverBudget,
                fmt::format("{} needs {}; {} are free {}: remove arrays with 'parcompute-client array rm', or {}", what, format_bytes(bytes),
                            format_bytes(left), memory.limits().place, memory.limits().remedy));
  const auto fits = [&] {
    const std::uint64_t kept = memory.bytes(MemoryState::kSpare);
    return kept == 0 || (memory.taken_bytes() + kept + bytes <= limit && bytes <= left - std::min(left, kept));
  };
  while (!fits()) drop_spare(*state_.spares.take_oldest());
  return {};
}

Result<ArrayKeeper::MadeSegment> ArrayKeeper::make_segment(const SegmentHeader& header, bool zeroed, bool reserve_now, std::string_view what) {
  MemoryLedger& memory = state_.memory;
  const std::uint64_t bytes = segment_memory(header.data_bytes);
  if (!zeroed) {
    while (auto spare = state_.spares.take(header.owner_uid, header.data_bytes)) {
      // Its name was there for everybody who may open it.
      if (effects_.custody(spare->segment) != Custody::kOurs) {
        drop_spare(*spare);
        continue;
      }
      if (auto ok = check_memory_share(state_, header.owner_uid, bytes, what); !ok) {
        drop_spare(*spare);
        return fail(ok.error());
      }
      effects_.rewrite_header(spare->segment, header);
      memory.apply(spare->segment, MemoryEvent::kTaken);
      return MadeSegment{{spare->segment, std::move(spare->name)}, true};
    }
  }
  if (auto ok = admit(header.owner_uid, bytes, what); !ok) return fail(ok.error());
  auto created = effects_.create_segment(header, reserve_now);
  while (!created && created.error().code == ErrorCode::kOverBudget && drop_for(created.error())) created = effects_.create_segment(header, reserve_now);
  if (!created) return fail(created.error());
  memory.add(created->id, header.owner_uid, bytes);
  if (!reserve_now) memory.promise(header.data_bytes);
  return MadeSegment{std::move(*created), reserve_now};
}

Result<ArrayKeeper::Made> ArrayKeeper::make_array(NewArray wanted, bool reserve_now) {
  Array array;
  array.spec = std::move(wanted.spec);
  array.name = std::move(wanted.name);
  array.owner_uid = wanted.owner_uid;
  array.session = wanted.session;
  array.data_bytes = byte_count(array.spec);
  array.data_offset = segment_data_offset(array.data_bytes);
  if (auto ok = check_one_more(array.owner_uid); !ok) return fail(ok.error());
  const auto what = array.name.empty() ? fmt::format("an anonymous array ({})", format_spec(array.spec))
                                       : fmt::format("array '{}' ({})", array.name, format_spec(array.spec));
  auto made = make_segment(header_of(array, false), wanted.zeroed, reserve_now, what);
  if (!made) return fail(made.error());
  array.segment = made->segment.id;
  array.segment_name = std::move(made->segment.name);
  return Made{&state_.arrays.add(std::move(array)), made->has_pages};
}

Result<Scratch> ArrayKeeper::make_scratch(uid_t owner_uid, std::uint64_t bytes, bool reserve_now) {
  if (auto ok = check_one_more(owner_uid); !ok) return fail(ok.error());
  const SegmentHeader header = scratch_header(owner_uid, bytes);
  auto made = make_segment(header, false, reserve_now, "the job's scratch area");
  if (!made) return fail(made.error());
  return Scratch{std::move(made->segment), header.data_offset, bytes, made->has_pages};
}

void ArrayKeeper::drop_scratch(Scratch scratch, uid_t owner_uid) {
  retire(std::move(scratch.segment), scratch_header(owner_uid, scratch.data_bytes), true);
}

void ArrayKeeper::write_state(const Array& array) {
  // An anonymous array is never found again: nobody reads its header. A file has none.
  if (!array.name.empty() && !array.removed && !array.is_file())
    effects_.rewrite_header(array.segment, header_of(array, array.state == ArrayState::kWhole));
}

void ArrayKeeper::mark_writing(Array& array) {
  kArrayLife.apply(array.state, ArrayEvent::kWrite);
  write_state(array);
}

void ArrayKeeper::mark_whole(Array& array) {
  kArrayLife.apply(array.state, ArrayEvent::kMade);
  write_state(array);
}

void ArrayKeeper::mark_incomplete(Array& array) {
  kArrayLife.apply(array.state, ArrayEvent::kCutOff);
  write_state(array);
}

void ArrayKeeper::accept(Array& array) {
  PARCOMPUTE_INVARIANT(array.writers.empty());
  kArrayLife.apply(array.state, ArrayEvent::kAccept);
  write_state(array);
}

void ArrayKeeper::set_mode(Array& array, ArrayMode mode) {
  array.mode = mode;
  write_state(array);
}

void ArrayKeeper::shorten(Array& array, std::uint64_t length) {
  PARCOMPUTE_INVARIANT(array.spec.ndim() > 0 && length <= static_cast<std::uint64_t>(array.spec.shape[0]));
  array.is_shortened = length < static_cast<std::uint64_t>(array.spec.shape[0]);
  array.spec.shape[0] = static_cast<std::int64_t>(length);
  array.data_bytes = byte_count(array.spec);
  // Where a segment cannot be made shorter, whoever may write it may fill again what was given back.
  if (state_.memory.limits().segments_shrink) state_.memory.shrink(array.segment, segment_memory(array.data_bytes));
  array.length_is_open = false;
  array.operand = array.operand_of(array.spec);
}

void ArrayKeeper::remove(Array& array) {
  if (array.removed) return;
  state_.arrays.forget_name(array);
  if (const auto session = state_.sessions.find(array.session); session != state_.sessions.end())
    session->second.arrays.erase(array.id);
  if (array.users == 0) return erase(array);
  // Jobs still use it; should the server end meanwhile, the next one must not find a name that is gone, or taken again.
  if (!array.name.empty() && !array.is_file()) {
    SegmentHeader nameless = header_of(array, array.state == ArrayState::kWhole);
    nameless.name.clear();
    effects_.rewrite_header(array.segment, nameless);
  }
}

void ArrayKeeper::drop_user(Array& array) {
  PARCOMPUTE_INVARIANT(array.users > 0);
  if (--array.users == 0 && array.removed) erase(array);
}

void ArrayKeeper::erase(Array& array) {
  if (array.is_file()) {
    drop_file(array.segment);
  } else {
    // One that was shortened lies in a segment that was made for more; what was lent may be looked at without a descriptor.
    retire({array.segment, array.segment_name}, header_of(array, false), !array.is_shortened && !array.was_lent);
  }
  state_.arrays.erase(array.id);
}

void ArrayKeeper::retire(CreatedSegment segment, SegmentHeader header, bool may_be_spare) {
  MemoryLedger& memory = state_.memory;
  const std::uint64_t bytes = memory.bytes(segment.id), most = memory.limits().spare_bytes;
  // What the next array will hold nobody else may see, or change.
  const Custody custody = state_.stopping ? Custody::kSpoiled : effects_.custody(segment.id);
  if (custody == Custody::kHeld) {
    memory.apply(segment.id, MemoryEvent::kLeft);
    forget(segment.id);
    effects_.unlink_segment(segment.id);
    return wake_soon();
  }
  if (custody == Custody::kSpoiled || !may_be_spare || header.data_bytes == 0 || bytes > most) return let_go(segment.id);
  while (state_.spares.size() >= kMaxSpares || memory.bytes(MemoryState::kSpare) > most - bytes) drop_spare(*state_.spares.take_oldest());
  // Should the server end meanwhile, the next one must not find an array that was removed.
  if (!std::exchange(header.name, "").empty()) effects_.rewrite_header(segment.id, header);
  memory.apply(segment.id, MemoryEvent::kPutAway);
  state_.spares.add({segment.id, std::move(segment.name), header.owner_uid, header.data_bytes, effects_.now()});
  wake_soon();
}

void ArrayKeeper::wake_soon() {
  std::optional<Instant> when;
  if (state_.spares.size() > 0) when = state_.spares.oldest() + kSpareLife;
  // No event tells when a client lets go of what it has.
  if (const Instant next = effects_.now() + kHeldLook; !state_.memory.held().empty() && (!when || next < *when)) when = next;
  if (when) state_.alarm.ring_by(*when, effects_);
}

void ArrayKeeper::tidy() {
  const Instant now = effects_.now();
  while (state_.spares.size() > 0 && state_.spares.oldest() + kSpareLife <= now) drop_spare(*state_.spares.take_oldest());
  let_go_of_released();
  wake_soon();
}

void ArrayKeeper::let_go_of_released() {
  looked_ = effects_.now();
  const std::vector<SegmentId> held(state_.memory.held().begin(), state_.memory.held().end());
  for (const SegmentId segment : held)
    if (effects_.custody(segment) != Custody::kHeld) let_go(segment);
}

void ArrayKeeper::drop_all_spares() {
  while (const auto spare = state_.spares.take_oldest()) drop_spare(*spare);
}

void ArrayKeeper::drop_everything() {
  drop_all_spares();
  while (!state_.memory.held().empty()) let_go(*state_.memory.held().begin());
}

bool ArrayKeeper::drop_for(const Error& shortage) {
  if (const auto spare = state_.spares.take_oldest()) {
    drop_spare(*spare);
    return true;
  }
  const bool of_descriptors = shortage.system_errno == EMFILE || shortage.system_errno == ENFILE;
  if (!of_descriptors || state_.memory.held().empty()) return false;
  // Its memory is counted no more, though a client has it still: the descriptor by which the kernel is asked is what is short.
  let_go(*state_.memory.held().begin());
  return true;
}

std::vector<WorkerIndex> ArrayKeeper::forget(SegmentId segment) {
  std::vector<WorkerIndex> holders;
  for (Worker& worker : state_.workers) {
    if (!worker.segments.contains(segment)) continue;
    worker.segments.erase(segment);
    worker.forgetting.push_back(segment);
    effects_.send_forget(worker.index, std::span(&segment, 1));
    holders.push_back(worker.index);
  }
  return holders;
}

void ArrayKeeper::let_go(SegmentId segment) {
  const bool is_large = state_.memory.bytes(segment) > kFreeInLoopBytes;
  const std::vector<WorkerIndex> holders = forget(segment);
  std::optional<WorkerIndex> closer;
  if (is_large && !state_.stopping) closer = holders.empty() ? free_worker() : holders.front();
  if (closer) state_.workers[*closer].forgetting.push_back(segment);
  effects_.drop_segment(segment, SegmentName::kUnlink, closer);
  // Also answers that were asked for when a client had it still.
  std::size_t answers = 0;
  for (const Worker& worker : state_.workers) answers += static_cast<std::size_t>(std::count(worker.forgetting.begin(), worker.forgetting.end(), segment));
  state_.memory.let_go(segment, answers);
}

void ArrayKeeper::drop_file(SegmentId segment) {
  forget(segment);
  effects_.drop_segment(segment, SegmentName::kKeep, {});
}

std::optional<WorkerIndex> ArrayKeeper::free_worker() const {
  const auto owed = [](const Worker& worker) { return worker.leases.size() + worker.forgetting.size(); };
  const Worker* least = nullptr;
  for (const Worker& worker : state_.workers)
    if (worker.is_up() && (least == nullptr || owed(worker) < owed(*least))) least = &worker;
  return least == nullptr ? std::nullopt : std::optional(least->index);
}

}  // namespace parcompute::server
