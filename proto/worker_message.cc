#include "proto/worker_message.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace parcompute {
namespace {

// A back-reference ("S1_", "T_") stands for what was said before, other references included: some hundred bytes can mean more text than there is
// memory for. Real names have few. Capitals in identifiers are counted with them: such a name stays as the linker knows it.
constexpr std::size_t kMostReferences = 16;
constexpr std::size_t kLongestSymbol = 512;

bool is_short_when_demangled(std::string_view symbol) {
  const auto references = std::count_if(symbol.begin(), symbol.end(), [](char c) { return c == 'S' || c == 'T'; });
  return symbol.size() <= kLongestSymbol && static_cast<std::size_t>(references) <= kMostReferences;
}

}  // namespace

std::optional<WorkerMessage> decode_worker_message(std::span<const std::byte> packet, std::span<ChunkCompletion, kMaxChunksPerPacket> room) {
  CompletionHeader header;
  if (packet.size() < sizeof header) return std::nullopt;
  std::memcpy(&header, packet.data(), sizeof header);
  const auto body = packet.subspan(sizeof header);
  switch (header.kind) {
    case CompletionKind::kReady: return WorkerMessage{header.kind, {}, 0, {}};
    case CompletionKind::kForgotten: return WorkerMessage{header.kind, {}, header.count, {}};
    case CompletionKind::kCompleted:
      if (header.count > room.size() || body.size() != header.count * sizeof(ChunkCompletion)) return std::nullopt;
      if (!body.empty()) std::memcpy(room.data(), body.data(), body.size());
      return WorkerMessage{header.kind, room.first(header.count), 0, {}};
    case CompletionKind::kFailed:
    case CompletionKind::kLastWords:
    case CompletionKind::kFault: {
      if (body.size() < sizeof(ChunkCompletion) || body.size() > sizeof(ChunkCompletion) + kMaxLastWords) return std::nullopt;
      std::memcpy(room.data(), body.data(), sizeof(ChunkCompletion));
      const auto text = body.subspan(sizeof(ChunkCompletion));
      return WorkerMessage{header.kind, room.first(1), 0, {reinterpret_cast<const char*>(text.data()), text.size()}};
    }
  }
  return std::nullopt;
}

std::string readable_backtrace(std::string_view text) {
  std::string readable;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::size_t space = line.find(' '), plus = line.rfind('+');
    const bool has_symbol = line.find(" _Z") == space && space != std::string_view::npos && plus > space && plus != std::string_view::npos;
    const std::string symbol(has_symbol ? line.substr(space + 1, plus - space - 1) : std::string_view());
    const bool is_safe = has_symbol && is_short_when_demangled(symbol);
    const std::unique_ptr<char, decltype(&std::free)> demangled(is_safe ? abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, nullptr) : nullptr, std::free);
    if (!readable.empty()) readable += '\n';
    if (demangled) readable.append(line.substr(0, space + 1)).append(demangled.get()).append(line.substr(plus));
    else readable.append(line);
  }
  return readable;
}

}  // namespace parcompute
