// Error: the world refused, or the request cannot be served.
//
// Three drawers. A *bug* is PARCOMPUTE_INVARIANT. An *outcome* that the caller is expected to handle is a small
// enum of the function's own. Everything else is an Error: it carries a stable code, a whole sentence for a
// person (what happened, to what, and what to do), and the errno it came from where there is one. It is passed
// on unchanged and shown or logged once, by whoever stops it.
#pragma once

#include "common/base/error_code.h"

#include <string>
#include <utility>

#include <tl/expected.hpp>

namespace parcompute {

struct Error {
  ErrorCode code = ErrorCode::kSystem;
  std::string message;
  int system_errno = 0;

  friend bool operator==(const Error&, const Error&) = default;
};

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(ErrorCode code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message), 0});
}
inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace parcompute
