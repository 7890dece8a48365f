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
  };
  // Admits, makes and describes a segment. Its pages are reserved at once where `reserve_now`; otherwise they are
  // promised until pages_reserved().
  Result<Array*> make_array(NewArray wanted, bool reserve_now);

  struct Scratch {
    SegmentId segment;
    std::uint64_t data_offset = 0;
  };
  Result<Scratch> make_scratch(std::uint64_t bytes, bool reserve_now);
  void drop_scratch(SegmentId segment, std::uint64_t bytes);

  // The bytes that were promised have pages now, or will never need them.
  void settle_promise(std::uint64_t bytes);

  // Its maker has ended well.
  void mark_whole(Array& array);
  // Takes the name away and drops the array with its last user.
  void remove(Array& array);
  void add_user(Array& array) { ++array.users; }
  void drop_user(Array& array);

  // The workers that hold a segment no longer do; its memory goes.
  void drop_segment(SegmentId segment, SegmentName name);

 private:
  Result<void> admit(std::uint64_t bytes, std::string_view what);
  void erase(Array& array);

  State& state_;
  Effects& effects_;
};

}  // namespace parcompute::server
