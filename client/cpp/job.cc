#include "client/cpp/job.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "client/cpp/array_state.h"
#include "client/cpp/job_state.h"
#include "client/cpp/wire.h"

namespace parcompute {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kProgressInterval{100};

JobResult result_of(Connection::Received received, Job::State& job) {
  const wire::JobEnded& ended = received.reply.job_ended();
  if (ended.job().has_error()) throw_failure(ended.job().error());
  JobResult result;
  result.info = job_info(ended.job());
  if (const auto dtype = dtype_from_number(ended.scalar_dtype()); dtype && ended.scalar().size() == itemsize(*dtype)) {
    result.scalar.emplace();
    result.scalar->dtype = *dtype;
    std::memcpy(result.scalar->bytes.data(), ended.scalar().data(), ended.scalar().size());
  }
  if (!ended.has_output()) return result;
  // A second answer is about the same array: its handles count together.
  if (auto known = job.output.lock()) {
    result.output = Array(std::move(known));
    return result;
  }
  auto output = array_state(ended.output(), std::move(received.fd), job.is_submitters ? job.server : nullptr);
  job.output = output;
  result.output = Array(std::move(output));
  return result;
}

}  // namespace

template <class T>
T Scalar::as() const {
  if (dtype_of<T>() != dtype)
    throw Failure(ErrorCode::kInvalidArgument, fmt::format("the scalar is {}, not {}", parcompute::name(dtype), parcompute::name(dtype_of<T>())));
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

template bool Scalar::as<bool>() const;
template std::int8_t Scalar::as<std::int8_t>() const;
template std::int16_t Scalar::as<std::int16_t>() const;
template std::int32_t Scalar::as<std::int32_t>() const;
template std::int64_t Scalar::as<std::int64_t>() const;
template std::uint8_t Scalar::as<std::uint8_t>() const;
template std::uint16_t Scalar::as<std::uint16_t>() const;
template std::uint32_t Scalar::as<std::uint32_t>() const;
template std::uint64_t Scalar::as<std::uint64_t>() const;
template float Scalar::as<float>() const;
template double Scalar::as<double>() const;
template std::complex<float> Scalar::as<std::complex<float>>() const;
template std::complex<double> Scalar::as<std::complex<double>>() const;

Job::State::~State() {
  if (request == 0) return;
  try {
    server->forget(request, is_submitters);
  } catch (const std::bad_alloc&) {
    // The answer is kept until the session ends, and an anonymous output with it.
  }
}

void Job::State::refer(wire::JobRef& reference) const {
  if (id != 0) {
    reference.set_id(id);
  } else {
    reference.set_request(request);
  }
}

JobResult Job::wait(const Progress& progress, std::optional<std::chrono::duration<double>> timeout) {
  if (state_->request == 0) {
    wire::Request request;
    request.mutable_wait_job()->mutable_job()->set_id(state_->id);
    state_->request = state_->server->send(request);
  }
  const auto take = [&](Connection::Received received) {
    state_->id = received.reply.job_ended().job().id();
    state_->request = 0;  // answered: a second wait() asks anew
    return result_of(std::move(received), *state_);
  };
  try {
    if (!progress && !timeout) return take(*state_->server->receive(state_->request));
    const auto end = timeout ? Clock::now() + std::chrono::duration_cast<Clock::duration>(*timeout) : Clock::time_point::max();
    while (true) {
      // Without progress nothing has to be done in between, but a signal may come: then the caller's turn is now, too.
      const auto next = Clock::now() + kProgressInterval;
      if (auto received = state_->server->receive(state_->request, std::min(next, end))) return take(std::move(*received));
      if (Clock::now() >= end)
        throw Failure(ErrorCode::kTimeout, fmt::format("the job{} has not ended within {:.3g} s", state_->id == 0 ? "" : fmt::format(" {}", state_->id), timeout->count()));
      if (progress) progress(info());
    }
  } catch (const Failure& failure) {
    // The job is known by its id from now on; without one it was refused and there is none.
    if (failure.code() != ErrorCode::kTimeout) state_->request = 0;
    throw;
  }
}

JobInfo Job::info() {
  wire::Request request;
  state_->refer(*request.mutable_get_job()->mutable_job());
  try {
    const auto received = state_->server->call(request);
    state_->id = received.reply.job_described().job().id();
    return job_info(received.reply.job_described().job());
  } catch (const Failure& failure) {
    // The server knows a job by its request until it ends; then the answer to the request came before this one's.
    const wire::Reply* answer = failure.code() == ErrorCode::kNotFound && state_->id == 0 ? state_->server->arrived(state_->request) : nullptr;
    if (answer == nullptr) throw;
    if (answer->has_failed()) throw_failure(answer->failed());
    state_->id = answer->job_ended().job().id();
    return job_info(answer->job_ended().job());
  }
}

void Job::cancel() {
  wire::Request request;
  state_->refer(*request.mutable_cancel_job()->mutable_job());
  try {
    state_->server->call(request);
  } catch (const Failure& failure) {
    // Submitted here, not found: it has ended, and its answer waits in the socket.
    if (failure.code() != ErrorCode::kNotFound || state_->id != 0) throw;
  }
}

std::uint64_t Job::id() {
  if (state_->id == 0) state_->id = info().id;
  return state_->id;
}

}  // namespace parcompute
