#include "server/core/rights.h"

#include <fmt/format.h>

namespace parcompute::server {

bool is_allowed(uid_t server, uid_t asking, uid_t owner, ArrayMode mode, Right right) {
  if (asking == owner || asking == 0 || asking == server) return true;
  switch (right) {
    case Right::kRead: return mode != ArrayMode::kPrivate;
    case Right::kWrite: return mode == ArrayMode::kGroupWrite;
    case Right::kOwn: return false;
  }
  return false;
}

bool may_use(const State& state, const Session& session, const Array& array, Right right) {
  return is_allowed(state.identity.uid, session.uid, array.owner_uid, array.mode, right);
}

bool may_do_all(const State& state, const Session& session, uid_t owner_uid) {
  return is_allowed(state.identity.uid, session.uid, owner_uid, ArrayMode::kPrivate, Right::kOwn);
}

Result<void> check_right(const State& state, const Session& session, const Array& array, Right right) {
  if (may_use(state, session, array, right)) return {};
  const std::string whose = fmt::format("array '{}' belongs to uid {}, and you are uid {}", array.label(), array.owner_uid, session.uid);
  if (right == Right::kOwn) return fail(ErrorCode::kNotPermitted, fmt::format("{}: its owner alone may remove it or change its mode, which is {}", whose, name(array.mode)));
  const ArrayMode needed = right == Right::kRead ? ArrayMode::kGroupRead : ArrayMode::kGroupWrite;
  return fail(ErrorCode::kNotPermitted, fmt::format("{}: its mode is {}, which lets others {}; its owner can change that with 'parcompute-client array chmod {} {}'", whose,
                                                    name(array.mode), array.mode == ArrayMode::kPrivate ? "do nothing" : "read it, not write it", name(needed),
                                                    array.name.empty() ? "NAME" : array.name));
}

Result<void> check_free(State& state, const Session& session, std::string_view name) {
  const Array* const other = state.arrays.find(name);
  if (other == nullptr || may_use(state, session, *other, Right::kOwn)) return state.arrays.check_free(name);
  return fail(ErrorCode::kAlreadyExists, fmt::format("the name '{}' is taken by an array of uid {}, and you are uid {}: choose another name", name, other->owner_uid, session.uid));
}

}  // namespace parcompute::server
