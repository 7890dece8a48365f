// The lives of sessions, arrays, their memory, workers and jobs: each a table of state x event -> next state.
//
// An empty cell is a transition that must not happen; asking for it is a bug. Tests walk every cell.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/base/invariant.h"

namespace parcompute::server {

template <class State, class Event, std::size_t kStates, std::size_t kEvents>
struct Lifecycle {
  using Cell = std::optional<State>;
  std::array<std::array<Cell, kEvents>, kStates> cells;

  constexpr Cell next(State state, Event event) const {
    return cells[static_cast<std::size_t>(state)][static_cast<std::size_t>(event)];
  }
  void apply(State& state, Event event) const {
    const Cell target = next(state, event);
    PARCOMPUTE_INVARIANT(target.has_value());
    state = *target;
  }
};

// ---- session -------------------------------------------------------------------------------------------------

enum class SessionState : std::uint8_t { kNew, kGreeted };
enum class SessionEvent : std::uint8_t { kHello };

inline constexpr Lifecycle<SessionState, SessionEvent, 2, 1> kSessionLife{{{
    /*              kHello                  */
    /* kNew     */ {{SessionState::kGreeted}},
    /* kGreeted */ {{std::nullopt}},
}}};

// ---- array ---------------------------------------------------------------------------------------------------

enum class ArrayState : std::uint8_t {
  kMaking,      // the job that writes it has not ended
  kWhole,       //
  kIncomplete,  // the job that was writing it did not end well, or the server ended before it
};
// A job begins to write an array that exists; it has ended well, having written all of it or a part; it has not. Somebody takes what
// is there for the whole.
enum class ArrayEvent : std::uint8_t { kWrite, kMade, kCutOff, kAccept };

inline constexpr Lifecycle<ArrayState, ArrayEvent, 3, 4> kArrayLife{{{
    /*                 kWrite                kMade               kCutOff                  kAccept           */
    /* kMaking     */ {{std::nullopt,        ArrayState::kWhole, ArrayState::kIncomplete, std::nullopt}},
    /* kWhole      */ {{ArrayState::kMaking, std::nullopt,       std::nullopt,            std::nullopt}},
    /* kIncomplete */ {{ArrayState::kMaking, std::nullopt,       std::nullopt,            ArrayState::kWhole}},
}}};

// ---- a segment's memory --------------------------------------------------------------------------------------

enum class MemoryState : std::uint8_t {
  kUsed,     // by an array or a scratch area
  kSpare,    // waits for the owner's next array of its size
  kHeld,     // of an array that was removed: clients still have it, so it is nobody else's
  kFreeing,  // given up; workers are letting go of it
};
inline constexpr std::size_t kMemoryStates = 4;
enum class MemoryEvent : std::uint8_t { kPutAway, kTaken, kLeft, kLetGo };

inline constexpr Lifecycle<MemoryState, MemoryEvent, kMemoryStates, 4> kMemoryLife{{{
    /*              kPutAway              kTaken              kLeft               kLetGo                  */
    /* kUsed    */ {{MemoryState::kSpare, std::nullopt,       MemoryState::kHeld, MemoryState::kFreeing}},
    /* kSpare   */ {{std::nullopt,        MemoryState::kUsed, std::nullopt,       MemoryState::kFreeing}},
    /* kHeld    */ {{std::nullopt,        std::nullopt,       std::nullopt,       MemoryState::kFreeing}},
    /* kFreeing */ {{std::nullopt,        std::nullopt,       std::nullopt,       std::nullopt}},
}}};

// ---- worker --------------------------------------------------------------------------------------------------

enum class WorkerState : std::uint8_t {
  kStarting,  // a fork was asked for
  kIdle,      //
  kBusy,      // it holds leases
  kLeaving,   // it is ending or has ended, and its loss comes next: it gets nothing more
};
enum class WorkerEvent : std::uint8_t { kReady, kLeased, kLastLeaseReturned, kLeave, kLost };

inline constexpr Lifecycle<WorkerState, WorkerEvent, 4, 5> kWorkerLife{{{
    /*               kReady              kLeased             kLastLeaseReturned     kLeave                  kLost                 */
    /* kStarting */ {{WorkerState::kIdle, std::nullopt,       std::nullopt,          WorkerState::kStarting, WorkerState::kStarting}},
    /* kIdle     */ {{std::nullopt,       WorkerState::kBusy, std::nullopt,          WorkerState::kLeaving,  WorkerState::kStarting}},
    /* kBusy     */ {{std::nullopt,       WorkerState::kBusy, WorkerState::kIdle,    WorkerState::kLeaving,  WorkerState::kStarting}},
    /* kLeaving  */ {{std::nullopt,       std::nullopt,       WorkerState::kLeaving, WorkerState::kLeaving,  WorkerState::kStarting}},
}}};

// ---- job -----------------------------------------------------------------------------------------------------

enum class JobState : std::uint8_t {
  kQueued,     // waits for the jobs that make its operands
  kRunning,    //
  kFailing,    // a chunk failed; leases are still out
  kCancelling, // somebody cancelled it; leases are still out
  kDone,
  kFailed,
  kCancelled,
};
enum class JobEvent : std::uint8_t { kStart, kLastPhaseDone, kChunkFailed, kCancel, kDrained };

inline constexpr Lifecycle<JobState, JobEvent, 7, 5> kJobLife{{{
    /*                 kStart              kLastPhaseDone   kChunkFailed           kCancel                kDrained            */
    /* kQueued     */ {{JobState::kRunning, std::nullopt,    JobState::kFailing,    JobState::kCancelling, std::nullopt}},
    /* kRunning    */ {{std::nullopt,       JobState::kDone, JobState::kFailing,    JobState::kCancelling, std::nullopt}},
    /* kFailing    */ {{std::nullopt,       std::nullopt,    JobState::kFailing,    JobState::kFailing,    JobState::kFailed}},
    /* kCancelling */ {{std::nullopt,       std::nullopt,    JobState::kCancelling, JobState::kCancelling, JobState::kCancelled}},
    /* kDone       */ {{std::nullopt,       std::nullopt,    std::nullopt,          JobState::kDone,       std::nullopt}},
    /* kFailed     */ {{std::nullopt,       std::nullopt,    std::nullopt,          JobState::kFailed,     std::nullopt}},
    /* kCancelled  */ {{std::nullopt,       std::nullopt,    std::nullopt,          JobState::kCancelled,  std::nullopt}},
}}};

constexpr bool has_ended(JobState state) {
  return state == JobState::kDone || state == JobState::kFailed || state == JobState::kCancelled;
}

}  // namespace parcompute::server
