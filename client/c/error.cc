#include "client/c/error.h"

#include <array>
#include <cstring>
#include <exception>
#include <new>
#include <string>

#include "client/c/handles.h"
#include "client/cpp/failure.h"
#include "proto/version.h"

namespace parcompute::c {
namespace {

// A message that could not be kept is told by words that need no memory.
struct LastFailure {
  std::string message;
  const char* words = "no call of this thread's has failed";
  std::int32_t system_errno = 0;
};
thread_local LastFailure last;

void remember(const char* message, int system_errno) noexcept {
  last.system_errno = system_errno;
  try {
    last.message = message;
    last.words = last.message.c_str();
  } catch (const std::bad_alloc&) {
    last.words = "the call failed, and this program has no memory left for the reason";
  }
}

}  // namespace

std::int32_t remember_failure() noexcept {
  try {
    throw;
  } catch (const Signalled&) {
    remember("a signal came while the job was waited for: call again to wait on", 0);
    return PARCOMPUTE_INTERRUPTED;
  } catch (const Forked&) {
    remember("this handle is the parent process's, from before fork(): connect again in this process, and find the array by its name", 0);
    return PARCOMPUTE_FORKED;
  } catch (const Failure& failure) {
    remember(failure.what(), failure.system_errno());
    return static_cast<std::int32_t>(failure.code());
  } catch (const std::bad_alloc&) {
    remember("this program has no memory left", 0);
    return PARCOMPUTE_OVER_BUDGET;
  } catch (const std::exception& exception) {
    remember(exception.what(), 0);
    return PARCOMPUTE_SYSTEM;
  } catch (...) {
    remember("the call failed for a reason that it did not tell", 0);
    return PARCOMPUTE_SYSTEM;
  }
}

}  // namespace parcompute::c

extern "C" {

const char* parcompute_error_message() {
  return parcompute::c::last.words;
}

std::int32_t parcompute_error_errno() {
  return parcompute::c::last.system_errno;
}

const char* parcompute_code_name(std::int32_t code) {
  switch (code) {
    case PARCOMPUTE_OK: return "ok";
    case PARCOMPUTE_INTERRUPTED: return "interrupted";
    case PARCOMPUTE_FORKED: return "forked";
    default: break;
  }
  // Names are literals, which end in 0.
  return parcompute::is_known_error_code(static_cast<std::uint32_t>(code)) ? parcompute::error_code_name(static_cast<parcompute::ErrorCode>(code)).data() : "unknown";
}

const char* parcompute_version() {
  return parcompute::kProgramVersion.data();
}
}
