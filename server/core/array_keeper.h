// ArrayKeeper: makes arrays within the memory budget and lets go of them when nobody needs them.
#pragma once

#include <string>

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
  // they are promised until MemoryAccount::settle().
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
  // Its first dimension has so many elements, no more than before: the pages behind them were given back.
  void shorten(Array& array, std::uint64_t length);
  // Takes the name away and drops the array with its last user.
  void remove(Array& array);
  void add_user(Array& array) { ++array.users; }
  void drop_user(Array& array);

  // The spare segments that nobody has asked for since long go, and memory with them; or all of them, now.
  void drop_old_spares();
  void drop_all_spares();

 private:
  // A segment as arrays and scratch areas begin: an old one or a new one.
  struct Piece {
    CreatedSegment segment;
    bool has_pages = false;
  };
  Result<Piece> make_segment(const SegmentHeader& header, bool zeroed, bool reserve_now, std::string_view what);
  Result<void> admit(std::uint64_t bytes, std::string_view what);
  void write_state(const Array& array);
  void erase(Array& array);
  // Its memory is no longer used: it becomes a spare one, or goes.
  void retire(CreatedSegment segment, SegmentHeader header);
  void drop_spare(const SpareSegment& spare) { drop_segment(spare.segment); }
  // The workers that hold it no longer do; its name and its memory go.
  void drop_segment(SegmentId segment);

  State& state_;
  Effects& effects_;
};

}  // namespace parcompute::server
