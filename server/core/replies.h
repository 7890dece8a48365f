// What the core tells clients of its records.
#pragma once

#include "proto/parcompute.pb.h"
#include "server/core/state.h"

namespace parcompute::server {

void describe(const Array& array, wire::ArrayInfo& message);
void describe(const JobSummary& job, Instant now, wire::JobInfo& message);
// With the expression, which whoever waits for a job's end has no need of.
void describe_with_expression(const JobSummary& job, Instant now, wire::JobInfo& message);
// What a list of jobs leaves out.
void describe(const DeathCertificate& certificate, wire::DeathCertificate& message);
void describe(const Error& error, wire::Failed& message);
// Its workers from `first_worker` on, as many as fit.
void describe(const State& state, Instant now, std::uint32_t first_worker, wire::StatusReported& message);

// Leaves room for the envelope below kMaxPacketBytes.
inline constexpr std::size_t kListingBytes = 48 * 1024;

}  // namespace parcompute::server
