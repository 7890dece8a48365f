// Why a job waits, or what it is doing.
#pragma once

#include <string>

#include "proto/parcompute.pb.h"
#include "server/core/state.h"

namespace parcompute::server {

// What a job that lives waits for, in a few words; empty where it waits for nothing but its part of the workers' time.
std::string waiting_for(const State& state, const Job& job);

// All but JobExplained::job, of a job that lives.
void explain(const State& state, const Job& job, wire::JobExplained& message);

}  // namespace parcompute::server
