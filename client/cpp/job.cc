#include "client/cpp/job.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

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
  auto output = array_state(ended.output(), std::move(received.fd), job.server, job.is_submitters ? Ownership::kOwned : Ownership::kBorrowed);
  job.output = output;
  result.output = Array(std::move(output));
  return result;
}

// An answer to wait for: the one that a submitted job has anyway, or a new one.
void ask_for_end(Job::State& job) {
  if (job.request != 0) return;
  wire::Request request;
  request.mutable_wait_job()->mutable_job()->set_id(job.id);
  job.request = job.server->send(request);
}

JobResult take_end(Connection::Received received, Job::State& job) {
  job.id = received.reply.job_ended().job().id();
  job.request = 0;  // answered: who asks for the end again asks anew
  return result_of(std::move(received), job);
}

// What is asked of the server about a job that somebody waits for: how far it is. Nobody waits for the answer alone.
class Question {
 public:
  explicit Question(Job::State& job) : job_(job) {}
  Question(const Question&) = delete;
  ~Question() {
    if (!is_open()) return;
    try {
      job_.server->forget(request_, false);
    } catch (const std::bad_alloc&) {
      // The answer is kept until the session ends.
    }
  }

  void ask() {
    wire::Request request;
    job_.refer(*request.mutable_get_job()->mutable_job());
    try {
      request_ = job_.server->send(request);
    } catch (const Failure& failure) {
      if (failure.code() != ErrorCode::kOverBudget) throw;
      return;  // there is no room for it now; the job is waited for all the same
    }
    asked_ = Clock::now();
  }
  bool is_open() const { return request_ != 0; }
  // Since it was asked; none where it is not open.
  Clock::duration age() const { return is_open() ? Clock::now() - asked_ : Clock::duration(0); }
  // True where one came. The server knows a job by its request until it ends: what it refuses needs no answer any more.
  bool take_answer() {
    const wire::Reply* reply = is_open() ? job_.server->arrived(request_) : nullptr;
    if (reply == nullptr) return false;
    const bool is_told = reply->has_job_described();
    if (is_told) {
      answer_ = job_info(reply->job_described().job());
      job_.id = answer_->id;
    }
    job_.server->forget(std::exchange(request_, 0), false);
    return is_told;
  }
  const std::optional<JobInfo>& answer() const { return answer_; }
  std::string describe_silence() const { return job_.server->describe_silence(age()); }
  [[noreturn]] void throw_silence() const { throw Failure(ErrorCode::kTimeout, describe_silence()); }

 private:
  Job::State& job_;
  std::uint64_t request_ = 0;
  Clock::time_point asked_{};
  std::optional<JobInfo> answer_;  // the last one
};

// Who waits for so long asks how far the job is no more often than this; who looks on asks as often as there is news.
std::chrono::duration<double> ask_interval(double seconds) {
  return std::clamp(std::chrono::duration<double>(seconds), std::chrono::duration<double>(kProgressInterval), std::chrono::duration<double>(1));
}

[[noreturn]] void throw_late(const Job::State& job, double timeout_seconds, const Question& question) {
  // An answer that is on its way is no silence.
  const bool is_silent = question.age() >= ask_interval(timeout_seconds / 2);
  throw Failure(ErrorCode::kTimeout, fmt::format("the job{} has not ended within {:.3g} s{}", job.id == 0 ? "" : fmt::format(" {}", job.id), timeout_seconds,
                                                 is_silent ? "; " + question.describe_silence() : ""));
}

// Also of times that no clock will show.
Clock::time_point later(std::chrono::duration<double> time) {
  const auto now = Clock::now();
  return time < Clock::time_point::max() - now ? now + std::chrono::duration_cast<Clock::duration>(time) : Clock::time_point::max();
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
  Connection& server = *state_->server;
  ask_for_end(*state_);
  Question question(*state_);
  try {
    // A job may take as long as it likes, its server may not: it is asked when it was silent for so long.
    while (!progress && !timeout) {
      if (auto received = server.receive(state_->request)) return take_end(*std::move(received), *state_);
      question.take_answer();
      if (question.is_open()) question.throw_silence();
      question.ask();
    }
    const auto end = timeout ? later(*timeout) : Clock::time_point::max();
    const auto interval = progress ? Clock::duration(kProgressInterval) : std::chrono::duration_cast<Clock::duration>(ask_interval(timeout->count() / 4));
    auto next = Clock::now() + interval;
    while (true) {
      // It may have come while another job was waited for.
      const bool is_word = server.arrived(state_->request) != nullptr || server.gather(std::min(next, end));
      if (server.arrived(state_->request) != nullptr) return take_end(server.answer_to(state_->request), *state_);
      if (question.take_answer() && progress) progress(*question.answer());
      const auto now = Clock::now();
      if (now >= end && !is_word) throw_late(*state_, timeout->count(), question);
      if (now < next) continue;
      next = now + interval;
      // What lies in the socket still was said.
      if (!is_word && question.age() >= server.patience()) question.throw_silence();
      // Of a silent server nothing is new; but who is called may have something to say.
      if (question.is_open() && question.answer() && progress) progress(*question.answer());
      if (!question.is_open()) question.ask();
    }
  } catch (const Failure&) {
    // Where its answer was the failure, or none will come, the job is known by its id from now on; without one it was refused and there is none.
    if (server.was_refused(state_->request) || server.has_ended()) state_->request = 0;
    throw;
  }
}

std::optional<JobResult> Job::ended() {
  Connection& server = *state_->server;
  ask_for_end(*state_);
  try {
    while (server.arrived(state_->request) == nullptr)
      if (!server.gather(Clock::now())) return std::nullopt;
    return take_end(server.answer_to(state_->request), *state_);
  } catch (const Failure&) {
    if (server.was_refused(state_->request) || server.has_ended()) state_->request = 0;
    throw;
  }
}

bool Job::has_answer() const {
  return state_->request != 0 && state_->server->arrived(state_->request) != nullptr;
}

int Job::descriptor() const {
  return state_->server->descriptor();
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

JobExplanation Job::explain() {
  wire::Request request;
  request.mutable_explain_job()->mutable_job()->set_id(id());
  return job_explanation(state_->server->call(request).reply.job_explained());
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
