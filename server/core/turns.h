// Turns: in which order jobs use the arrays that they share.
//
// Two jobs are in each other's way where elements that one of them writes are read or written by the other; the later one then
// waits for the earlier. Views that are apart are not in the way. A writer of a whole array waits for everybody who was there
// before it, so whoever comes behind waits for it alone: where it ends without having begun, so do they. Where more jobs than can
// be compared use one array, a writer of a part waits as if it wrote all of it.
#pragma once

#include "server/core/state.h"

namespace parcompute::server {

// What the job reads and writes is busy with it from now on; waits_for, makers and wanted_by say who comes first. It has an id.
void take_turns(State& state, Job& job);
void leave_turns(State& state, Job& job);

// Whether whoever uses these elements, and came later, waits for that job to have written.
bool waits_for_writer(const ArraySpec& view, const Job& writer);

}  // namespace parcompute::server
