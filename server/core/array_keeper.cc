#include "server/core/array_keeper.h"

#include <fmt/format.h>

#include "common/base/units.h"
#include "common/shm/segment_header.h"

namespace parcompute::server {
namespace {

SegmentHeader header_of(const Array& array, bool complete) {
  return SegmentHeader{array.spec, array.name, array.owner_uid, complete, array.data_offset, array.data_bytes};
}

}  // namespace

Result<void> ArrayKeeper::admit(std::uint64_t bytes, std::string_view what) {
  const MemoryAccount& memory = state_.memory;
  if (bytes > memory.limit_bytes || memory.used_bytes > memory.limit_bytes - bytes)
    return fail(ErrorCode::kOverBudget,
                fmt::format("{} needs {}; {} of the server's {} ({}) are in use: remove arrays with 'parcompute-client array rm', or "
                            "start the server with more --memory",
                            what, format_bytes(bytes), format_bytes(memory.used_bytes), format_bytes(memory.limit_bytes),
                            memory.limit_source));
  // Another program may be filling /dev/shm: what is promised to others is not free either.
  const std::uint64_t free = effects_.shm_free_bytes();
  const std::uint64_t left = free > memory.promised_bytes ? free - memory.promised_bytes : 0;
  if (bytes > left)
    return fail(ErrorCode::kOverBudget,
                fmt::format("{} needs {}; {} are free in /dev/shm, which other programs use too: remove arrays with "
                            "'parcompute-client array rm', or files in /dev/shm",
                            what, format_bytes(bytes), format_bytes(left)));
  return {};
}

Result<Array*> ArrayKeeper::make_array(NewArray wanted, bool reserve_now) {
  Array array;
  array.spec = std::move(wanted.spec);
  array.name = std::move(wanted.name);
  array.owner_uid = wanted.owner_uid;
  array.session = wanted.session;
  array.data_bytes = byte_count(array.spec);
  array.data_offset = segment_data_offset(array.data_bytes);
  const std::uint64_t bytes = segment_memory(array.data_bytes);
  const auto what = fmt::format("array '{}' ({})", array.label(), format_spec(array.spec));
  if (auto ok = admit(bytes, what); !ok) return fail(ok.error());
  auto created = effects_.create_segment(header_of(array, false), reserve_now);
  if (!created) return fail(created.error());
  array.segment = created->id;
  array.segment_name = std::move(created->name);
  state_.memory.used_bytes += bytes;
  if (!reserve_now) state_.memory.promised_bytes += array.data_bytes;
  return &state_.arrays.add(std::move(array));
}

Result<ArrayKeeper::Scratch> ArrayKeeper::make_scratch(std::uint64_t bytes, bool reserve_now) {
  SegmentHeader header;
  header.spec = ArraySpec{DType::kUint8, {static_cast<std::int64_t>(bytes)}, {1}, 0};
  header.owner_uid = state_.identity.uid;
  header.data_bytes = bytes;
  header.data_offset = segment_data_offset(bytes);
  const std::uint64_t total = segment_memory(bytes);
  if (auto ok = admit(total, "the job's scratch area"); !ok) return fail(ok.error());
  auto created = effects_.create_segment(header, reserve_now);
  if (!created) return fail(created.error());
  state_.memory.used_bytes += total;
  if (!reserve_now) state_.memory.promised_bytes += bytes;
  return Scratch{created->id, header.data_offset};
}

void ArrayKeeper::drop_scratch(SegmentId segment, std::uint64_t bytes) {
  state_.memory.used_bytes -= segment_memory(bytes);
  drop_segment(segment, SegmentName::kUnlink);
}

void ArrayKeeper::settle_promise(std::uint64_t bytes) {
  PARCOMPUTE_INVARIANT(bytes <= state_.memory.promised_bytes);
  state_.memory.promised_bytes -= bytes;
}

void ArrayKeeper::mark_whole(Array& array) {
  kArrayLife.apply(array.state, ArrayEvent::kMade);
  array.maker = {};
  // An anonymous array is never found again: nobody reads its header.
  if (!array.name.empty() && !array.removed) effects_.rewrite_header(array.segment, header_of(array, true));
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
  if (!array.is_file()) state_.memory.used_bytes -= segment_memory(array.data_bytes);
  drop_segment(array.segment, SegmentName::kUnlink);
  state_.arrays.erase(array.id);
}

void ArrayKeeper::drop_segment(SegmentId segment, SegmentName name) {
  std::vector<WorkerIndex> holders;
  for (Worker& worker : state_.workers) {
    if (!worker.segments.contains(segment)) continue;
    worker.segments.erase(segment);
    holders.push_back(worker.index);
  }
  effects_.drop_segment(segment, name, holders);
}

}  // namespace parcompute::server
