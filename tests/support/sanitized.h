// Whether a sanitizer watches this build. It costs time, memory and descriptors: what only figures, or a full table of
// descriptors, can show is not asserted there.
#pragma once

namespace parcompute::testing {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// UBSan asks by a pipe whether an object's memory is there, and takes a full table of descriptors for a broken object.
inline constexpr const char* kFullTableConfusesSanitizers = "UndefinedBehaviorSanitizer needs a free descriptor";

}  // namespace parcompute::testing
