// Any bytes as the beginning of a .npy file: refused with a sentence, or a header that holds what it claims.
#include <cstddef>
#include <cstdint>
#include <span>

#include "common/array/npy.h"
#include "common/base/invariant.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace parcompute;
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto header = parse_npy_header(bytes, "fuzz.npy");
  if (!header) {
    PARCOMPUTE_INVARIANT(header.error().code == ErrorCode::kBadData && header.error().message.size() < 1000);
    for (const char c : header.error().message) PARCOMPUTE_INVARIANT(c >= ' ' && c <= '~');
    return 0;
  }
  PARCOMPUTE_INVARIANT(header->data_offset <= size && header->data_offset <= kMaxNpyHeaderBytes);
  PARCOMPUTE_INVARIANT(is_dense(header->spec));
  PARCOMPUTE_INVARIANT(check_spec(header->spec, byte_count(header->spec)));
  // What we write about it is read back as the same array.
  const std::string written = format_npy_header(header->spec);
  const auto again = parse_npy_header(std::as_bytes(std::span(written)), "again.npy");
  PARCOMPUTE_INVARIANT(again && again->data_offset == written.size() && !again->swapped);
  PARCOMPUTE_INVARIANT(again->spec.dtype == header->spec.dtype && again->spec.shape == header->spec.shape);
  return 0;
}
