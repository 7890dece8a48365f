// Which failures are worth trying: for each call the errors that Linux can give there, and whose calls they are.
#pragma once

#include <cerrno>
#include <vector>

#include "tests/fault/failing_calls.h"

namespace parcompute::testing {

struct FailingCall {
  Call call;
  std::vector<int> errors;
};

inline const std::vector<FailingCall>& failing_calls() {
  static const std::vector<FailingCall> calls{
      {Call::kMap, {ENOMEM, EPERM}},
      {Call::kTruncate, {ENOSPC, EINTR, EIO, EPERM}},
      {Call::kAllocateFile, {ENOSPC, EINTR, EIO}},
      {Call::kOpen, {EMFILE, ENFILE, ENOMEM, EINTR, EPERM}},
      {Call::kOpenSegment, {EMFILE, ENFILE, ENOSPC, ENOMEM, EPERM}},
      {Call::kOpenDirectory, {EMFILE, ENOMEM}},
      {Call::kFork, {EAGAIN, ENOMEM}},
      {Call::kSpawn, {EAGAIN, ENOMEM}},
      {Call::kSocket, {EMFILE, ENFILE, ENOMEM}},
      {Call::kSocketPair, {EMFILE, ENFILE, ENOMEM}},
      {Call::kBind, {EPERM, ENOSPC}},
      {Call::kAccept, {EMFILE, ENFILE, ENOMEM, EAGAIN, EINTR, EPERM}},
      {Call::kConnect, {EAGAIN, EINTR, EPERM}},
      {Call::kSend, {ENOMEM, ENOBUFS, EINTR}},
      {Call::kSendFds, {ETOOMANYREFS, ENOMEM}},
      {Call::kReceive, {ENOMEM, EINTR}},
      {Call::kReceiveFds, {EMFILE}},
      {Call::kWatch, {ENOMEM, ENOSPC}},
      {Call::kEpollWait, {EINTR}},
      {Call::kPoll, {EINTR, ENOMEM}},
      {Call::kEventDescriptor, {EMFILE, ENOMEM}},
      {Call::kPipe, {EMFILE, ENFILE}},
      {Call::kDuplicate, {EMFILE}},
      {Call::kLease, {EAGAIN}},
      {Call::kLock, {EINTR, ENOMEM}},
      {Call::kPread, {EINTR, EIO}},
      {Call::kPwrite, {EINTR, ENOSPC, EIO}},
      {Call::kRead, {EINTR, EIO}},
      {Call::kWrite, {EINTR, ENOSPC, EIO}},
      {Call::kUnlink, {EPERM, EIO}},
      {Call::kRename, {ENOSPC, EIO, EPERM}},
      {Call::kMakeDirectory, {ENOSPC, EPERM}},
      {Call::kStatvfs, {EINTR, EIO}},
      {Call::kPidfd, {EMFILE, ENFILE, ENOMEM}},
      {Call::kMemory, {EMFILE, ENFILE, ENOMEM, EPERM}},
      {Call::kAllocate, {ENOMEM}},
  };
  return calls;
}

// A socket that blocks does not answer EAGAIN; the coordinator's do.
inline std::vector<int> errors_of(const FailingCall& call, Role role) {
  std::vector<int> errors = call.errors;
  if (call.call == Call::kSend && role == Role::kCoordinator) errors.push_back(EAGAIN);
  return errors;
}

}  // namespace parcompute::testing
