#include "common/shm/mapping.h"

#include <boost/interprocess/mapped_region.hpp>

#include "common/os/system_error.h"

namespace parcompute {
namespace {

namespace bip = boost::interprocess;

// A descriptor, dressed as what mapped_region takes.
struct MappableDescriptor {
  int fd;
  bip::mapping_handle_t get_mapping_handle() const { return {fd, false}; }
};

}  // namespace

Mapping::Mapping() = default;
Mapping::Mapping(Mapping&&) noexcept = default;
Mapping& Mapping::operator=(Mapping&&) noexcept = default;
Mapping::~Mapping() = default;

Result<Mapping> Mapping::map(int fd, std::uint64_t offset, std::uint64_t bytes, Access access, std::string_view subject) {
  Mapping mapping;
  if (bytes == 0) return mapping;
  try {
    mapping.region_ = std::make_unique<bip::mapped_region>(
        MappableDescriptor{fd}, access == Access::kRead ? bip::read_only : bip::read_write,
        static_cast<bip::offset_t>(offset), static_cast<std::size_t>(bytes));
    return mapping;
  } catch (const bip::interprocess_exception& refused) {
    return fail(system_error("map the memory of", subject, refused.get_native_error()));
  }
}

std::byte* Mapping::data() const {
  return region_ ? static_cast<std::byte*>(region_->get_address()) : nullptr;
}

std::uint64_t Mapping::size() const {
  return region_ ? region_->get_size() : 0;
}

}  // namespace parcompute
