#include "server/io/backing.h"

#include "common/base/log.h"
#include "server/core/array_table.h"
#include "server/io/named_backing.h"
#include "server/io/sealed_backing.h"

namespace parcompute::server {

BackingWords words_of(BackingKind kind) {
  if (kind == BackingKind::kNamed) return {"in /dev/shm, which other programs use too", "files in /dev/shm", true};
  return {"of the machine's memory, which other programs use too", "end other programs", false};
}

Result<std::unique_ptr<Backing>> make_backing(BackingKind kind, const std::string& prefix, std::vector<StoredDescriptor> stored, std::size_t store_room) {
  if (kind == BackingKind::kSealed) {
    auto made = SealedBacking::make_with(prefix, std::move(stored), store_room);
    if (!made) return fail(made.error());
    return std::unique_ptr<Backing>(std::move(*made));
  }
  if (!stored.empty())
    log_warning("systemd holds {} descriptors of a server with --backing sealed, which this one is not; its arrays are left there until the service stops",
                stored.size());
  return std::make_unique<NamedBacking>(prefix);
}

Error not_taken_over(const Error& refused) {
  const auto what_to_do = refused.code == ErrorCode::kNotPermitted ? "let it read and write them" : "try again";
  return {refused.code, fmt::format("{}; the server does not start without the arrays of the one before it, which are still there: {}", refused.message, what_to_do),
          refused.system_errno};
}

Result<void> check_found(const SegmentHeader& header, std::string_view segment_name) {
  if (auto ok = check_array_name(header.name); !ok) return fail(ErrorCode::kBadData, fmt::format("segment '{}' held no named array", segment_name));
  // A shortened array's data lie where the longer one's did.
  if (header.data_offset != segment_data_offset(header.data_bytes) && header.data_offset != kHugePageBytes)
    return fail(ErrorCode::kBadData, fmt::format("the data of segment '{}' lie where no server puts them", segment_name));
  return {};
}

}  // namespace parcompute::server
