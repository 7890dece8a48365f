// Rights: who may do what with an array.
//
// Its owner, root and the server's own user may do all. Everybody else whom the server admits may do what the array's mode says.
#pragma once

#include <sys/types.h>

#include <string_view>

#include "common/array/array_mode.h"
#include "common/base/error.h"
#include "server/core/state.h"

namespace parcompute::server {

enum class Right {
  kRead,   // map it for reading, use it as an operand
  kWrite,  // map it for writing, let a job write into it, accept what another left of it
  kOwn,    // remove it, say who else may use it
};

// The whole of the decision.
bool is_allowed(uid_t server, uid_t asking, uid_t owner, ArrayMode mode, Right right);

bool may_use(const State& state, const Session& session, const Array& array, Right right);
// Jobs and attached files are their owner's alone.
bool may_do_all(const State& state, const Session& session, uid_t owner_uid);

// kNotPermitted, in words that say whose the array is and what would help.
Result<void> check_right(const State& state, const Session& session, const Array& array, Right right);
// kAlreadyExists where the name is taken: by an array that whoever asks may remove, or by somebody else's, which never makes room.
Result<void> check_free(State& state, const Session& session, std::string_view name);

}  // namespace parcompute::server
