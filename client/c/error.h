// What a call of the C interface leaves behind: a code, and the calling thread's message. Internal to the library.
#pragma once

#include <cstdint>

#include "client/c/parcompute.h"

namespace parcompute::c {

// Of the exception that is being handled.
std::int32_t remember_failure() noexcept;

// A call's body: nothing it throws leaves it.
template <class Body>
std::int32_t guarded(Body body) noexcept {
  try {
    body();
    return PARCOMPUTE_OK;
  } catch (...) {
    return remember_failure();
  }
}

}  // namespace parcompute::c
