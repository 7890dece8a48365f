// A client's connection, as the core knows it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>
#include <string>

#include "common/base/ids.h"
#include "server/core/lifecycle.h"

namespace parcompute::server {

struct Session {
  SessionId id;
  pid_t pid = 0;
  uid_t uid = 0;
  SessionState state = SessionState::kNew;
  unsigned seconds_new = 0;       // in which no Hello came
  std::string client;             // program and version
  std::set<ArrayId> arrays;       // anonymous: gone with the session
  std::set<JobId> jobs;           // live and not detached: cancelled with it
  std::size_t pending_waits = 0;  // requests that have no answer yet
};

}  // namespace parcompute::server
