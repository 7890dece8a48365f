// ArrayTable: the arrays there are, by id and by name.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/array/array_mode.h"
#include "common/array/array_spec.h"
#include "common/base/error.h"
#include "common/base/ids.h"
#include "server/core/lifecycle.h"
#include "server/core/owner_counts.h"

namespace parcompute::server {

// Which file a descriptor is of.
struct FileIdentity {
  std::uint64_t device = 0, inode = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

struct Array {
  ArrayId id;
  std::string name;  // empty: anonymous
  ArraySpec spec;
  ArrayState state = ArrayState::kMaking;
  SegmentId segment;         // or the attached file's descriptor
  std::string segment_name;  // empty: a file
  std::string path;          // of a file, to show
  FileIdentity file;
  std::uint64_t data_offset = 0;
  std::uint64_t data_bytes = 0;
  bool writable = true;
  uid_t owner_uid = 0;
  ArrayMode mode = ArrayMode::kPrivate;  // what others may do; of a file always this
  std::string operand;  // as job descriptions name it (wire::Operand, read-only), encoded once
  SessionId session;    // that an anonymous array goes with
  // The live jobs that write it and that read it, or a part of it; their ids are the order in which they were submitted (turns.h).
  std::set<JobId> writers;
  std::set<JobId> readers;
  unsigned writing = 0;  // jobs that have begun to write it, an array that existed, and have not ended
  bool is_cut = false;   // while some do: it is incomplete when they have ended, unless one writes all of it
  bool is_incomplete() const { return state == ArrayState::kIncomplete || (writing > 0 && is_cut); }
  unsigned users = 0;   // live jobs that read or write it
  bool removed = false; // its name is gone; it goes with its last user
  bool is_shortened = false;    // its segment was made for more
  // Somebody else than its owner may have had it: its pages may still lie in a pipe of theirs (splice), which the kernel does not
  // count, so that no other array may ever lie in them.
  bool was_lent = false;
  bool length_is_open = false;  // the job that makes it says at its end how long it is: nobody can plan with it before

  bool is_file() const { return segment_name.empty(); }
  // How messages call it: its name, its file's path, "anonymous array".
  std::string label() const;
  // A view of it, as job descriptions name operands.
  std::string operand_of(const ArraySpec& view) const;
};

// Names are 1 to kMaxNameBytes bytes without '/', control characters and a '.npy' at the end: those are files.
Result<void> check_array_name(std::string_view name);
// Nor may a new one read as a view ("a[0]", "a.T"), which nobody could ask for. Arrays that have such a name keep it.
Result<void> check_new_array_name(std::string_view name);

class ArrayTable {
 public:
  // Fails with kAlreadyExists where the name is taken.
  Result<void> check_free(std::string_view name) const;
  // The name itself where it is free; otherwise with a number behind it, from 2.
  std::string free_name_like(std::string_view name) const;
  // The array gets its id. Its name must be free.
  Array& add(Array array);
  // Null where there is none (or it was removed).
  Array* find(ArrayId id);
  Array* find(std::string_view name);
  // Also removed ones that jobs still use.
  Array& get(ArrayId id);
  // Takes the name away. The array itself stays until erase().
  void forget_name(Array& array);
  void erase(ArrayId id);

  // In the order of their ids.
  const std::map<ArrayId, Array>& all() const { return arrays_; }
  std::size_t size() const { return arrays_.size(); }
  std::size_t named() const { return names_.size(); }
  // Also removed ones.
  std::size_t owned_by(uid_t uid) const { return owned_.of(uid); }
  // Of these, attached files.
  std::size_t files_of(uid_t uid) const { return files_of_.of(uid); }
  std::size_t files() const { return files_; }

 private:
  std::map<ArrayId, Array> arrays_;
  std::unordered_map<std::string, ArrayId> names_;
  OwnerCounts owned_;
  OwnerCounts files_of_;
  std::size_t files_ = 0;
  std::uint64_t last_id_ = 0;
};

}  // namespace parcompute::server
