// NamedBacking: segments in /dev/shm; see backing.h.
#pragma once

#include "server/io/backing.h"

namespace parcompute::server {

class NamedBacking : public Backing {
 public:
  explicit NamedBacking(std::string prefix) : prefix_(std::move(prefix)) {}

  Result<NamedSegment> make(std::uint64_t size) override { return create_segment(prefix_, size); }
  Result<void> describe(const NamedSegment& segment, const SegmentHeader& header) override;
  void forget(const NamedSegment& segment) override;
  // Only the holder of the socket's lock may call this.
  Result<std::vector<Found>> take_over() override;
  std::uint64_t own_pages() const override { return kSegmentHeaderBytes; }
  Result<std::uint64_t> free_bytes() override;

 private:
  Result<Found> adopt(const std::string& name);

  std::string prefix_;
};

}  // namespace parcompute::server
