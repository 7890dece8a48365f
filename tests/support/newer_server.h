// What a server newer than this one would have left behind.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include <gtest/gtest.h>

#include "common/shm/segment_header.h"

namespace parcompute::testing {

// The page with a version that comes after this one's, and a check sum that is right.
inline SegmentHeaderPage of_newer_server(SegmentHeaderPage page) {
  constexpr std::size_t kChecksumAt = 8, kVersionAt = 16, kLayoutBytes = 848;
  const std::uint32_t version = 3;
  std::memcpy(page.data() + kVersionAt, &version, sizeof version);
  std::fill_n(page.begin() + kChecksumAt, 8, std::byte{0});
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const std::byte byte : std::span(page).first(kLayoutBytes)) hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3;
  std::memcpy(page.data() + kChecksumAt, &hash, sizeof hash);
  return page;
}

inline SegmentHeaderPage read_page(int fd, std::uint64_t offset) {
  SegmentHeaderPage page{};
  EXPECT_EQ(::pread(fd, page.data(), page.size(), static_cast<off_t>(offset)), static_cast<ssize_t>(page.size()));
  return page;
}
inline void write_page(int fd, std::uint64_t offset, const SegmentHeaderPage& page) {
  EXPECT_EQ(::pwrite(fd, page.data(), page.size(), static_cast<off_t>(offset)), static_cast<ssize_t>(page.size()));
}

}  // namespace parcompute::testing
