#include "common/shm/segment_header.h"

#include <bit>
#include <cstring>

#include <fmt/format.h>

#include "common/base/checked.h"
#include "common/base/invariant.h"

namespace parcompute {
namespace {

constexpr std::array<char, 8> kMagic{'P', 'A', 'R', 'C', 'S', 'E', 'G', '1'};
constexpr std::uint32_t kHeaderVersion = 2;
constexpr std::uint32_t kVersionWithoutMode = 1;
constexpr std::size_t kNameRoom = 256;
constexpr std::uint32_t kStateWriting = 1;
constexpr std::uint32_t kStateComplete = 2;

struct HeaderLayout {
  std::array<char, 8> magic;
  std::uint64_t checksum;  // of the page with this field zero
  std::uint32_t version;
  std::uint32_t state;
  std::uint32_t owner_uid;
  std::uint32_t dtype;
  std::uint64_t data_offset;
  std::uint64_t data_bytes;
  std::uint64_t offset;
  std::uint32_t ndim;
  std::uint32_t name_bytes;
  std::array<std::int64_t, kMaxDims> shape;
  std::array<std::int64_t, kMaxDims> strides;
  std::array<char, kNameRoom> name;
  std::uint32_t mode;  // from here on: since version 2
  std::uint32_t reserved;
  std::uint64_t inode;
};
static_assert(std::endian::native == std::endian::little, "segment headers are little endian");
static_assert(sizeof(HeaderLayout) == 64 + 2 * 8 * kMaxDims + kNameRoom + 16 && sizeof(HeaderLayout) <= kSegmentHeaderBytes);
static_assert(offsetof(HeaderLayout, shape) == 64 && offsetof(HeaderLayout, mode) == 64 + 2 * 8 * kMaxDims + kNameRoom);

// FNV-1a, 64 bits (Fowler, Noll, Vo), over the words of the layout: guards against torn and stray writes, not against
// malice.
std::uint64_t checksum_of(HeaderLayout layout) {
  layout.checksum = 0;
  std::uint64_t hash = 0xcbf29ce484222325;
  const std::size_t length = layout.version == kVersionWithoutMode ? offsetof(HeaderLayout, mode) : sizeof layout;
  for (const std::byte byte : std::as_bytes(std::span<const HeaderLayout, 1>(&layout, 1)).first(length))
    hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3;
  return hash;
}

}  // namespace

std::uint64_t segment_data_offset(std::uint64_t data_bytes) {
  return data_bytes >= kHugePageBytes ? kHugePageBytes : kSegmentHeaderBytes;
}

SegmentHeaderPage encode_segment_header(const SegmentHeader& header) {
  PARCOMPUTE_INVARIANT(header.name.size() < kNameRoom && header.spec.ndim() <= kMaxDims);
  HeaderLayout layout{};
  layout.magic = kMagic;
  // Servers of that version read what says nothing new.
  const bool is_plain = header.mode == ArrayMode::kPrivate && header.inode == 0;
  layout.version = is_plain ? kVersionWithoutMode : kHeaderVersion;
  layout.state = header.complete ? kStateComplete : kStateWriting;
  layout.owner_uid = header.owner_uid;
  layout.dtype = static_cast<std::uint32_t>(header.spec.dtype);
  layout.data_offset = header.data_offset;
  layout.data_bytes = header.data_bytes;
  layout.offset = header.spec.offset;
  layout.ndim = static_cast<std::uint32_t>(header.spec.ndim());
  layout.name_bytes = static_cast<std::uint32_t>(header.name.size());
  std::copy(header.spec.shape.begin(), header.spec.shape.end(), layout.shape.begin());
  std::copy(header.spec.strides.begin(), header.spec.strides.end(), layout.strides.begin());
  std::copy(header.name.begin(), header.name.end(), layout.name.begin());
  layout.mode = static_cast<std::uint32_t>(header.mode);
  layout.inode = header.inode;
  layout.checksum = checksum_of(layout);

  SegmentHeaderPage page{};
  std::memcpy(page.data(), &layout, sizeof layout);
  return page;
}

Result<SegmentHeader> decode_segment_header(std::span<const std::byte> page, std::string_view segment_name,
                                            std::uint64_t segment_size) {
  ErrorCode damage_code = ErrorCode::kBadData;
  std::string what = fmt::format("segment '{}' is no array of this server", segment_name);
  const auto refuse = [&](std::string_view why) { return fail(damage_code, fmt::format("{}: {}", what, why)); };
  if (page.size() < kSegmentHeaderBytes) return refuse("it is shorter than a header");
  HeaderLayout layout;
  std::memcpy(&layout, page.data(), sizeof layout);
  if (layout.magic != kMagic) return refuse("its magic is wrong");
  // What follows, and over what its check sum goes, a newer server knows.
  if (layout.version > kHeaderVersion)
    return fail(ErrorCode::kUnsupported, fmt::format("segment '{}' is of a newer server: its header has version {}, this one reads {} and {}", segment_name, layout.version,
                                                     kVersionWithoutMode, kHeaderVersion));
  if (layout.version < kVersionWithoutMode) return refuse(fmt::format("its header has version {}", layout.version));
  // From here on it was made by a server. What was an array with a name, as far as can be told, is not rubbish: somebody may want what is left of it.
  if (layout.name_bytes > 0 && layout.name_bytes < kNameRoom) {
    std::string name(layout.name.data(), layout.name_bytes);
    std::replace_if(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e; }, '?');
    damage_code = ErrorCode::kUnsupported;
    what = fmt::format("array '{}' in segment '{}' is damaged", name, segment_name);
  }
  if (layout.checksum != checksum_of(layout)) return refuse("its header's check sum is wrong");
  if (layout.version == kVersionWithoutMode) layout.mode = 0, layout.inode = 0;
  const auto mode = array_mode_from_number(layout.mode);
  if (!mode) return refuse(fmt::format("{} is no mode", layout.mode));
  const auto dtype = dtype_from_number(layout.dtype);
  if (!dtype) return refuse(fmt::format("{} is no dtype number", layout.dtype));
  if (layout.ndim > kMaxDims || layout.name_bytes >= kNameRoom) return refuse("its lengths are out of range");
  if (layout.state != kStateWriting && layout.state != kStateComplete) return refuse("its state is out of range");
  const auto end = checked_add(layout.data_offset, layout.data_bytes);
  if (layout.data_offset < kSegmentHeaderBytes || layout.data_offset % kSegmentHeaderBytes != 0 || !end ||
      *end > segment_size)
    return refuse(fmt::format("its data reach past its {} bytes", segment_size));

  SegmentHeader header;
  header.spec = ArraySpec{*dtype, Dims(layout.shape.begin(), layout.shape.begin() + layout.ndim),
                          Dims(layout.strides.begin(), layout.strides.begin() + layout.ndim), layout.offset};
  header.name.assign(layout.name.data(), layout.name_bytes);
  header.owner_uid = layout.owner_uid;
  header.complete = layout.state == kStateComplete;
  header.data_offset = layout.data_offset;
  header.data_bytes = layout.data_bytes;
  header.mode = *mode;
  header.inode = layout.inode;
  if (auto ok = check_spec(header.spec, header.data_bytes); !ok) return refuse(ok.error().message);
  return header;
}

}  // namespace parcompute
