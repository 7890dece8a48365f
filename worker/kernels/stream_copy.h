// Copies around the caches, for what nobody reads soon: the memory that is written is not read first.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include <hwy/cache_control.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace parcompute {

// What is brought near while a copy runs, so that memory is read and written at once.
struct LinesAhead {
  const std::byte* at = nullptr;
  std::size_t bytes = 0;
};

// The areas do not overlap. Others see what was written after hwy::FlushStream().
inline void stream_copy(std::byte* to, const std::byte* from, std::size_t bytes, std::span<LinesAhead> ahead = {}) {
  constexpr std::size_t kLine = 64;
#if defined(__SSE2__)
  const std::size_t head = std::min((kLine - reinterpret_cast<std::uintptr_t>(to) % kLine) % kLine, bytes);
  std::memcpy(to, from, head);
  to += head;
  from += head;
  bytes -= head;
  const std::size_t lines = bytes / kLine;
  std::size_t most = 0;
  for (const LinesAhead& each : ahead) most = std::max(most, each.bytes);
  // So much of each with every line that is written.
  const std::size_t piece = lines == 0 ? 0 : (most / lines + kLine - 1) / kLine * kLine;
  for (; bytes >= kLine; bytes -= kLine, to += kLine, from += kLine) {
    for (LinesAhead& each : ahead) {
      const std::size_t now = std::min(piece, each.bytes);
      for (std::size_t at = 0; at < now; at += kLine) hwy::Prefetch(each.at + at);
      each.at += now;
      each.bytes -= now;
    }
    const auto* x = reinterpret_cast<const __m128i*>(from);
    auto* y = reinterpret_cast<__m128i*>(to);
    const __m128i a = _mm_loadu_si128(x), b = _mm_loadu_si128(x + 1), c = _mm_loadu_si128(x + 2), d = _mm_loadu_si128(x + 3);
    _mm_stream_si128(y, a);
    _mm_stream_si128(y + 1, b);
    _mm_stream_si128(y + 2, c);
    _mm_stream_si128(y + 3, d);
  }
#else
  (void)ahead;
  (void)kLine;
#endif
  std::memcpy(to, from, bytes);
}

}  // namespace parcompute
