// ArrayKeeper: makes arrays within the memory budget and lets go of them when nobody needs them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "server/core/effects.h"
#include "server/core/state.h"

namespace parcompute::server {

class ArrayKeeper {
 public:
  ArrayKeeper(State& state, Effects& effects) : state_(state), effects_(effects) {}

  struct NewArray {
    ArraySpec spec;     // dense
    std::string name;   // empty: anonymous
    uid_t owner_uid = 0;
    SessionId session;  // of an anonymous one
    bool zeroed = false;  // only fresh pages will do
  };
  // Admits, makes and describes a segment. Where `reserve_now`, or where it is a spare one, its pages are there; otherwise
  // they are promised until MemoryLedger::settle().
  struct Made {
    Array* array = nullptr;
    bool has_pages = false;
  };
  Result<Made> make_array(NewArray wanted, bool reserve_now);

  // A job's own segment: never named, never in a client's hands.
  Result<Scratch> make_scratch(uid_t owner_uid, std::uint64_t bytes, bool reserve_now);
  void drop_scratch(Scratch scratch, uid_t owner_uid);

  // A job begins to write an array that exists. Its header says so before the first byte changes.
  void mark_writing(Array& array);
  // Its writer has ended well.
  void mark_whole(Array& array);
  // Its writer has not, or has mended a part alone of one that was incomplete before.
  void mark_incomplete(Array& array);
  // Somebody takes an incomplete one, which nobody is writing, as it is.
  void accept(Array& array);
  // Who else may use it; it takes nothing back from who has its memory already.
  void set_mode(Array& array, ArrayMode mode);
  // Its first dimension has so many elements, no more than before: the pages behind them were given back.
  void shorten(Array& array, std::uint64_t length);
  // Takes the name away and drops the array with its last user.
  void remove(Array& array);
  void add_user(Array& array) { ++array.users; }
  void drop_user(Array& array);

  // The spare segments that nobody has asked for since long go, and what clients no longer have; or all spare ones, now.
  void tidy();
  void drop_all_spares();
  // Also what clients have: the server leaves.
  void drop_everything();
  // Whether a user may have one array, or scratch area, more.
  Result<void> check_one_more(uid_t owner_uid);

 private:
  // A segment as arrays and scratch areas begin: an old one or a new one.
  struct MadeSegment {
    CreatedSegment segment;
    bool has_pages = false;
  };
  Result<MadeSegment> make_segment(const SegmentHeader& header, bool zeroed, bool reserve_now, std::string_view what);
  Result<void> admit(uid_t owner_uid, std::uint64_t bytes, std::string_view what);
  void write_state(const Array& array);
  void erase(Array& array);
  // Its memory is no longer used: it becomes a spare one, waits for the clients that have it, or goes.
  void retire(CreatedSegment segment, SegmentHeader header, bool may_be_spare);
  void wake_soon();
  void let_go_of_released();
  // Something goes that takes what is short. False where there is nothing of the kind.
  bool drop_for(const Error& shortage);
  // The check, and where it fails once more when it was looked what clients no longer have.
  Result<void> with_another_look(const std::function<Result<void>()>& check);
  void drop_spare(const SpareSegment& spare) { let_go(spare.segment); }
  // The workers that hold it are told not to. They.
  std::vector<WorkerIndex> forget(SegmentId segment);
  // Its name and its memory go.
  void let_go(SegmentId segment);
  void drop_file(SegmentId segment);
  // The one with the least to do.
  std::optional<WorkerIndex> free_worker() const;

  State& state_;
  Effects& effects_;
  Instant looked_{};
};

}  // namespace parcompute::server
