// The public types of the client and the messages that carry them. Internal to the library.
#pragma once

#include "client/cpp/array.h"
#include "client/cpp/connection.h"
#include "client/cpp/failure.h"
#include "client/cpp/job.h"
#include "client/cpp/operations.h"
#include "client/cpp/session.h"
#include "common/base/error.h"
#include "proto/parcompute.pb.h"

namespace parcompute {

[[noreturn]] void throw_failure(const Error& error);
[[noreturn]] void throw_failure(const wire::Failed& failed);

// The value, or its Failure.
template <class T>
T value_or_throw(Result<T> result) {
  if (!result) throw_failure(result.error());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

ArrayInfo array_info(const wire::ArrayInfo& message);
JobInfo job_info(const wire::JobInfo& message);
JobExplanation job_explanation(const wire::JobExplained& message);
Status status_of(const wire::StatusReported& message);
// Fills the operation and its inputs in, which are the server's own arrays, or it throws kNotFound.
void to_wire(const Operation& operation, const Connection& server, wire::SubmitJob& message);

}  // namespace parcompute
