// Assertions that are always compiled in.
#pragma once

namespace parcompute {

// Ends the process with the place and the broken claim. For bugs of our own alone: what a peer, a file or
// the kernel may do is an Outcome or an Error, never an invariant.
[[noreturn]] void invariant_broken(const char* claim, const char* file, int line);

}  // namespace parcompute

#define PARCOMPUTE_INVARIANT(claim) \
  (static_cast<bool>(claim) ? void(0) : ::parcompute::invariant_broken(#claim, __FILE__, __LINE__))
