#include "server/core/array_keeper.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "common/base/units.h"
#include "common/shm/segment_header.h"

namespace parcompute::server {
namespace {

// Spare segments are at most so many, for each costs a descriptor, and wait so long for their next array.
constexpr std::size_t kMaxSpares = 64;
constexpr std::chrono::seconds kSpareLife{10};

SegmentHeader header_of(const Array& array, bool complete) {
  return SegmentHeader{array.spec, array.name, array.owner_uid, complete, array.data_offset, array.data_bytes};
}

SegmentHeader scratch_header(uid_t owner_uid, std::uint64_t bytes) {
  return SegmentHeader{{DType::kUint8, {static_cast<std::int64_t>(bytes)}, {1}, 0}, "", owner_uid, false, segment_data_offset(bytes), bytes};
}

}  // namespace

Result<void> ArrayKeeper::admit(std::uint64_t bytes, std::string_view what) {
  const MemoryAccount& memory = state_.memory;
  if (bytes > memory.limit_bytes || memory.used_bytes > memory.limit_bytes - bytes) {
    const auto raise = memory.limit_source == "configured" ? "start the server with more --memory"
                                                           : fmt::format("raise the limit, which is {}'s: --memory can only lower it", memory.limit_source);
    return fail(ErrorCode::kOverBudget,
                fmt::format("{} needs {}; {} of the server's {} are in use: remove arrays with 'parcompute-client array rm', or {}", what,
                            format_bytes(bytes), format_bytes(memory.used_bytes), format_bytes(memory.limit_bytes), raise));
  }
  // Another program may be filling /dev/shm: what is promised to others is not free either; what spare segments take is.
  const std::uint64_t free = effects_.shm_free_bytes() + state_.spares.bytes();
  const std::uint64_t left = free > memory.promised_bytes ? free - memory.promised_bytes : 0;
  if (bytes > left)
    return fail(ErrorCode::kOverBudget,
                fmt::format("{} needs {}; {} are free in /dev/shm, which other programs use too: remove arrays with "
                            "'parcompute-client array rm', or files in /dev/shm",
                            what, format_bytes(bytes), format_bytes(left)));
  const auto fits = [&] {
    const std::uint64_t spare = state_.spares.bytes();
    return spare == 0 || (memory.used_bytes + spare + bytes <= memory.limit_bytes && bytes <= left - std::min(left, spare));
  };
  while (!fits()) drop_spare(*state_.spares.take_oldest());
  return {};
}

Result<ArrayKeeper::Piece> ArrayKeeper::make_segment(const SegmentHeader& header, bool zeroed, bool reserve_now, std::string_view what) {
  MemoryAccount& memory = state_.memory;
  const std::uint64_t bytes = segment_memory(header.data_bytes);
  if (!zeroed) {
    while (auto spare = state_.spares.take(header.owner_uid, header.data_bytes)) {
      // Its name was there for everybody who may open it.
      if (!effects_.is_reusable(spare->segment)) {
        drop_spare(*spare);
        continue;
      }
      effects_.rewrite_header(spare->segment, header);
      memory.used_bytes += bytes;
      return Piece{{spare->segment, std::move(spare->name)}, true};
    }
  }
  if (auto ok = admit(bytes, what); !ok) return fail(ok.error());
  auto created = effects_.create_segment(header, reserve_now);
  // Descriptors may be what is short.
  while (!created && created.error().code == ErrorCode::kOverBudget && state_.spares.size() > 0) {
    drop_spare(*state_.spares.take_oldest());
    created = effects_.create_segment(header, reserve_now);
  }
  if (!created) return fail(created.error());
  memory.used_bytes += bytes;
  if (!reserve_now) memory.promised_bytes += header.data_bytes;
  return Piece{std::move(*created), reserve_now};
}

Result<ArrayKeeper::Made> ArrayKeeper::make_array(NewArray wanted, bool reserve_now) {
  Array array;
  array.spec = std::move(wanted.spec);
  array.name = std::move(wanted.name);
  array.owner_uid = wanted.owner_uid;
  array.session = wanted.session;
  array.data_bytes = byte_count(array.spec);
  array.data_offset = segment_data_offset(array.data_bytes);
  const auto what = array.name.empty() ? fmt::format("an anonymous array ({})", format_spec(array.spec))
                                       : fmt::format("array '{}' ({})", array.name, format_spec(array.spec));
  auto piece = make_segment(header_of(array, false), wanted.zeroed, reserve_now, what);
  if (!piece) return fail(piece.error());
  array.segment = piece->segment.id;
  array.segment_name = std::move(piece->segment.name);
  return Made{&state_.arrays.add(std::move(array)), piece->has_pages};
}

Result<Scratch> ArrayKeeper::make_scratch(uid_t owner_uid, std::uint64_t bytes, bool reserve_now) {
  const SegmentHeader header = scratch_header(owner_uid, bytes);
  auto piece = make_segment(header, false, reserve_now, "the job's scratch area");
  if (!piece) return fail(piece.error());
  return Scratch{std::move(piece->segment), header.data_offset, bytes, piece->has_pages};
}

void ArrayKeeper::drop_scratch(Scratch scratch, uid_t owner_uid) {
  retire(std::move(scratch.segment), scratch_header(owner_uid, scratch.data_bytes));
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

void ArrayKeeper::shorten(Array& array, std::uint64_t length) {
  PARCOMPUTE_INVARIANT(array.spec.ndim() > 0 && length <= static_cast<std::uint64_t>(array.spec.shape[0]));
  const std::uint64_t before = segment_memory(array.data_bytes);
  array.is_shortened = length < static_cast<std::uint64_t>(array.spec.shape[0]);
  array.spec.shape[0] = static_cast<std::int64_t>(length);
  array.data_bytes = byte_count(array.spec);
  state_.memory.used_bytes -= before - segment_memory(array.data_bytes);
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
    drop_segment(array.segment);
  } else if (array.is_shortened) {
    state_.memory.used_bytes -= segment_memory(array.data_bytes);
    drop_segment(array.segment);
  } else {
    retire({array.segment, std::move(array.segment_name)}, header_of(array, false));
  }
  state_.arrays.erase(array.id);
}

void ArrayKeeper::retire(CreatedSegment segment, SegmentHeader header) {
  const std::uint64_t bytes = segment_memory(header.data_bytes);
  state_.memory.used_bytes -= bytes;
  const std::uint64_t most = state_.memory.spare_limit_bytes;
  // Nobody else may see what the next array will hold, or change it.
  if (state_.stopping || header.data_bytes == 0 || bytes > most || !effects_.is_reusable(segment.id)) return drop_segment(segment.id);
  while (state_.spares.size() >= kMaxSpares || state_.spares.bytes() > most - bytes) drop_spare(*state_.spares.take_oldest());
  // Should the server end meanwhile, the next one must not find an array that was removed.
  if (!std::exchange(header.name, "").empty()) effects_.rewrite_header(segment.id, header);
  const Instant now = effects_.now();
  if (state_.spares.size() == 0) effects_.wake_at(now + kSpareLife);
  state_.spares.add({segment.id, std::move(segment.name), header.owner_uid, header.data_bytes, now});
}

void ArrayKeeper::drop_old_spares() {
  const Instant now = effects_.now();
  while (state_.spares.size() > 0 && state_.spares.oldest() + kSpareLife <= now) drop_spare(*state_.spares.take_oldest());
  if (state_.spares.size() > 0) effects_.wake_at(state_.spares.oldest() + kSpareLife);
}

void ArrayKeeper::drop_all_spares() {
  while (const auto spare = state_.spares.take_oldest()) drop_spare(*spare);
}

void ArrayKeeper::drop_segment(SegmentId segment) {
  std::vector<WorkerIndex> holders;
  for (Worker& worker : state_.workers) {
    if (!worker.segments.contains(segment)) continue;
    worker.segments.erase(segment);
    holders.push_back(worker.index);
  }
  effects_.drop_segment(segment, SegmentName::kUnlink, holders);
}

}  // namespace parcompute::server
