// What the core tells clients of its records.
#pragma once

#include "proto/parcompute.pb.h"
#include "server/core/state.h"

namespace parcompute::server {

void describe(const Array& array, wire::ArrayInfo& message);
void describe(const JobSummary& job, Instant now, wire::JobInfo& message);
void describe(const Error& error, wire::Failed& message);
void describe(const State& state, Instant now, wire::StatusReported& message);

// Leaves room for the envelope below kMaxPacketBytes.
inline constexpr std::size_t kListingBytes = 48 * 1024;

}  // namespace parcompute::server
