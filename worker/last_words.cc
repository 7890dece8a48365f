#include "worker/last_words.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string_view>

#include "common/base/error_code.h"
#include "common/base/invariant.h"
#include "proto/limits.h"

namespace parcompute {

Outbox outbox;

void Outbox::add(const ChunkCompletion& completion) {
  PARCOMPUTE_INVARIANT(count_ < kMaxChunksPerPacket);
  packet_.completions[count_] = completion;
  std::atomic_signal_fence(std::memory_order_release);
  count_ = count_ + 1;
}

std::span<const std::byte> Outbox::take() {
  const std::size_t count = count_;
  count_ = 0;
  std::atomic_signal_fence(std::memory_order_release);
  if (count == 0) return {};
  packet_.header = {CompletionKind::kCompleted, static_cast<std::uint32_t>(count)};
  return std::as_bytes(std::span(&packet_, 1)).first(sizeof(CompletionHeader) + count * sizeof(ChunkCompletion));
}

namespace {

constexpr int kMostFrames = 48;
constexpr unsigned kMostSeconds = 10;
constexpr std::size_t kStackBytes = 64 * 1024;
alignas(16) std::byte alternate_stack[kStackBytes];

// Text without allocation; what does not fit is cut off.
class Words {
 public:
  Words& operator<<(std::string_view text) {
    const std::size_t fits = std::min(text.size(), room_.size() - size_);
    std::memcpy(room_.data() + size_, text.data(), fits);
    size_ += fits;
    return *this;
  }
  Words& hex(std::uintptr_t number) {
    std::array<char, 2 * sizeof number> digits;
    std::size_t first = digits.size();
    do {
      digits[--first] = "0123456789abcdef"[number % 16];
      number /= 16;
    } while (number != 0);
    return *this << "0x" << std::string_view(digits.data() + first, digits.size() - first);
  }
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(room_).first(size_)); }

 private:
  std::array<char, kMaxLastWords> room_;
  std::size_t size_ = 0;
};

void send(CompletionKind kind, const Words& words) {
  struct {
    CompletionHeader header;
    ChunkCompletion completion{};
    std::array<std::byte, kMaxLastWords> text;
  } packet;
  static_assert(sizeof(CompletionHeader) + sizeof(ChunkCompletion) == offsetof(decltype(packet), text));
  packet.header = {kind, 1};
  packet.completion.lease = outbox.lease_in_hand;
  packet.completion.error_code = static_cast<std::uint32_t>(ErrorCode::kComputationFailed);
  const auto text = words.bytes();
  std::memcpy(packet.text.data(), text.data(), text.size());
  ::send(outbox.socket, &packet, sizeof packet.header + sizeof packet.completion + text.size(), MSG_NOSIGNAL);
}

void send_answers() {
  if (const auto answers = outbox.take(); !answers.empty()) ::send(outbox.socket, answers.data(), answers.size(), MSG_NOSIGNAL);
}

// The worker ends: its mappings are not what it believed them to be. Its chunk would meet the same once more.
void on_vanished_memory(std::string_view label) {
  send_answers();
  if (outbox.lease_in_hand != 0) {
    Words words;
    words << "memory of " << label << " vanished while the job ran: somebody truncated its file or segment, or its disk is full or failing";
    send(CompletionKind::kLastWords, words);
  }
  ::_exit(128 + SIGBUS);
}

std::string_view file_name(const char* path) {
  const std::string_view whole(path == nullptr ? "?" : path);
  return whole.substr(whole.rfind('/') + 1);
}

// "parcompute-worker+0x1a2b3 symbol+0x4f", innermost first.
void tell_backtrace(Words& words) {
  void* frames[kMostFrames];
  const int count = ::backtrace(frames, kMostFrames);
  for (int i = 0; i < count; ++i) {
    Dl_info where{};
    const auto address = reinterpret_cast<std::uintptr_t>(frames[i]);
    words << "\n";
    if (::dladdr(frames[i], &where) == 0) {
      words.hex(address);
      continue;
    }
    words << file_name(where.dli_fname) << "+";
    words.hex(address - reinterpret_cast<std::uintptr_t>(where.dli_fbase));
    if (where.dli_sname == nullptr) continue;
    words << " " << where.dli_sname << "+";
    words.hex(address - reinterpret_cast<std::uintptr_t>(where.dli_saddr));
  }
}

void on_fault(int number, siginfo_t* information, void*) {
  ::alarm(kMostSeconds);  // should what follows wait for a lock of the code that it interrupted
  // si_code is above 0 where the kernel says what happened, not a process that sent the signal; of an address that no pointer
  // can be (SI_KERNEL) it does not say which.
  const bool is_fault = information->si_code > 0 && number != SIGABRT;
  const bool has_address = is_fault && information->si_code != SI_KERNEL;
  if (number == SIGBUS && information->si_code == BUS_ADRERR && outbox.segments != nullptr)
    if (const char* label = outbox.segments->label_of(information->si_addr)) on_vanished_memory(label);
  send_answers();
  Words words;
  if (has_address) {
    words << "at address ";
    words.hex(reinterpret_cast<std::uintptr_t>(information->si_addr));
  }
  tell_backtrace(words);
  send(CompletionKind::kFault, words);
  // Its action is the default again: returning repeats the fault, and a signal that was sent is sent once more.
  if (!is_fault) ::raise(number);
}

}  // namespace

void speak_last_words() {
  // Its first call loads libgcc, which a handler cannot.
  void* frame = nullptr;
  ::backtrace(&frame, 1);

  // A stack of its own: the worker's may be what is exhausted.
  const stack_t stack{alternate_stack, 0, kStackBytes};
  ::sigaltstack(&stack, nullptr);
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = static_cast<int>(SA_SIGINFO | SA_ONSTACK | SA_RESETHAND);
  ::sigaction(SIGBUS, &action, nullptr);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which tell more
  for (const int number : {SIGSEGV, SIGFPE, SIGILL, SIGABRT}) ::sigaction(number, &action, nullptr);
#endif
}

}  // namespace parcompute
