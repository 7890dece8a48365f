// Every limit on what a peer may ask for, with its reason.
#pragma once

#include <cstddef>
#include <cstdint>

namespace parcompute {

// A SEQPACKET message of 212,960 bytes passes Linux's default buffers; 64 KiB stays far below and is one read.
inline constexpr std::size_t kMaxPacketBytes = 64 * 1024;

// Descriptors in one packet. The kernel's limit is 253; no message here needs more than one array's per operand.
inline constexpr std::size_t kMaxPacketFds = 16;

// Operands of one job: with its output and scratch area they fit one packet's descriptors.
inline constexpr std::size_t kMaxInputs = 14;

// An operation's message, with whatever a newer client put into it: it travels to workers in a packet of chunks.
inline constexpr std::size_t kMaxOperationBytes = 8 * 1024;

// What workers call an operand in their messages: a name, or a file's path, shortened.
inline constexpr std::size_t kMaxLabelBytes = 1024;

// An array's name: room for a path-like name, and a header page holds it with ease.
inline constexpr std::size_t kMaxNameBytes = 200;

// Packets that wait for a peer that does not read: room for the answers of all requests that a session may have waiting,
// and more. Past either the session ends: a slow reader costs only itself.
inline constexpr std::size_t kMaxQueuedReplies = 6144;
inline constexpr std::size_t kMaxQueuedBytes = 8 * 1024 * 1024;

// Requests that a session may have waiting for an answer (jobs and waits).
inline constexpr std::size_t kMaxPendingRequests = 4096;

// Sessions at once: each costs a descriptor and a few KiB.
inline constexpr std::size_t kMaxSessions = 4096;

// Jobs that have not ended, over all sessions.
inline constexpr std::size_t kMaxLiveJobs = 65536;

// Ended jobs kept for `job list`, `job show` and `job wait`.
inline constexpr std::size_t kMaxEndedJobs = 1000;

// Jobs that one job may be told to come after: each is looked up, and wakes it when it ends.
inline constexpr std::size_t kMaxAfter = 256;

// nice's range.
inline constexpr int kMinPriority = -20, kMaxPriority = 19;

// A hundred years: no clock overflows.
inline constexpr double kMaxTimeLimitSeconds = 3.2e9;

// Blocks of one phase: keeps block counters and their sums far from 64 bits.
inline constexpr std::uint64_t kMaxBlocks = std::uint64_t{1} << 48;

// Segments that one worker keeps mapped; the longest unused one is forgotten first.
inline constexpr std::size_t kMaxWorkerSegments = 256;

// Jobs that one worker holds descriptions of. A slot is taken over by a newer job; nothing has to be closed.
inline constexpr std::size_t kJobSlots = 16;

// A chunk that has ended this many workers fails its job: it, not bad luck, is what kills them.
inline constexpr std::uint32_t kMaxAttempts = 3;

// Words of a refusal, which may quote a name of any length: with the rest of its reply it fits a packet.
inline constexpr std::size_t kMaxErrorText = 4096;

// Words of a failed chunk.
inline constexpr std::size_t kMaxFailureText = 480;

// Those of a dying worker, with a backtrace: a few of them fit a reply.
inline constexpr std::size_t kMaxLastWords = 4096;

}  // namespace parcompute
