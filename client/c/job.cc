// Jobs, and expressions that are not jobs yet.
#include <algorithm>

#include "client/c/arguments.h"
#include "client/c/error.h"
#include "client/c/handles.h"
#include "client/c/operations.h"
#include "client/json/describe.h"
#include "common/expression/program.h"
#include "common/expression/syntax.h"

using namespace parcompute;
using namespace parcompute::c;

namespace {

void clear(parcompute_array** output, parcompute_scalar* scalar) {
  if (output != nullptr) *output = nullptr;
  if (scalar != nullptr) *scalar = {};
}

Job submit(parcompute_session* session, const char* operation, const parcompute_argument* arguments, std::size_t count) {
  LockedSession locked(owner_of(session));
  Arguments a(given(operation, "the operation"), arguments, count, session->shared.get());
  const Operation wanted = operation_of(operation, locked.session(), a);
  const SubmitOptions options = submit_options(a);
  a.finish();
  return locked.session().submit(wanted, options);
}

std::string dumped(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

template <class T>
T value_or_throw(Result<T> result) {
  if (!result) throw Failure(result.error().code, result.error().message, result.error().system_errno);
  return *std::move(result);
}

void free_job(parcompute_job* job) {
  const auto shared = job->shared;
  shared->discard(std::move(job->job));
  delete job;
}

}  // namespace

extern "C" {

std::int32_t parcompute_submit(parcompute_session* session, const char* operation, const parcompute_argument* arguments, std::size_t count, parcompute_job** job) {
  return guarded([&] {
    *job = nullptr;
    owner_of(session);
    *job = new parcompute_job{session->shared, submit(session, operation, arguments, count)};
  });
}

std::int32_t parcompute_run(parcompute_session* session, const char* operation, const parcompute_argument* arguments, std::size_t count, parcompute_array** output,
                            parcompute_scalar* scalar) {
  parcompute_job* job = nullptr;
  clear(output, scalar);
  const std::int32_t submitted = parcompute_submit(session, operation, arguments, count, &job);
  if (submitted != PARCOMPUTE_OK) return submitted;
  std::int32_t code = PARCOMPUTE_INTERRUPTED;
  while (code == PARCOMPUTE_INTERRUPTED) code = parcompute_job_wait(job, -1, output, scalar);
  free_job(job);
  return code;
}

std::int32_t parcompute_submit_and_wait(parcompute_session* session, const char* operation, const parcompute_argument* arguments, std::size_t count, double seconds,
                                        parcompute_job** job, parcompute_array** output, parcompute_scalar* scalar) {
  clear(output, scalar);
  const std::int32_t submitted = parcompute_submit(session, operation, arguments, count, job);
  if (submitted != PARCOMPUTE_OK) return submitted;
  const std::int32_t code = parcompute_job_wait(*job, seconds, output, scalar);
  if (code == PARCOMPUTE_INTERRUPTED || code == PARCOMPUTE_TIMED_OUT) return code;
  free_job(*job);
  *job = nullptr;
  return code;
}

std::int32_t parcompute_job_wait(parcompute_job* job, double seconds, parcompute_array** output, parcompute_scalar* scalar) {
  return guarded([&] {
    clear(output, scalar);
    owner_of(job);
    give(wait_for(*job, seconds), job->shared, output, scalar);
  });
}

std::int32_t parcompute_job_cancel(parcompute_job* job) {
  return guarded([&] {
    LockedSession locked(owner_of(job));
    job->job.cancel();
  });
}

std::int32_t parcompute_job_id(parcompute_job* job, std::uint64_t* id) {
  return guarded([&] {
    LockedSession locked(owner_of(job));
    *id = job->job.id();
  });
}

std::int32_t parcompute_job_progress(parcompute_job* job, std::int32_t* state, std::uint64_t* blocks_done, std::uint64_t* blocks_total) {
  return guarded([&] {
    LockedSession locked(owner_of(job));
    const JobInfo info = job->job.info();
    if (state != nullptr) *state = static_cast<std::int32_t>(info.state);
    if (blocks_done != nullptr) *blocks_done = info.blocks_done;
    if (blocks_total != nullptr) *blocks_total = info.blocks_total;
  });
}

std::int32_t parcompute_job_info(parcompute_job* job, char** json) {
  return guarded([&] {
    *json = nullptr;
    LockedSession locked(owner_of(job));
    *json = new_text(dumped(describe(job->job.info())));
  });
}

std::int32_t parcompute_job_explain(parcompute_job* job, char** json) {
  return guarded([&] {
    *json = nullptr;
    LockedSession locked(owner_of(job));
    *json = new_text(dumped(describe(job->job.explain())));
  });
}

std::int32_t parcompute_find_job(parcompute_session* session, std::uint64_t id, parcompute_job** job) {
  return guarded([&] {
    *job = nullptr;
    LockedSession locked(owner_of(session));
    *job = new parcompute_job{session->shared, locked.session().find_job(id)};
  });
}

void parcompute_job_free(parcompute_job* job) {
  if (job != nullptr && job->shared->is_of_this_process()) free_job(job);
}

std::int32_t parcompute_expression_names(const char* expression, char** json) {
  return guarded([&] {
    *json = nullptr;
    const auto constants = constant_names();
    nlohmann::ordered_json names = nlohmann::ordered_json::array(), used = nlohmann::ordered_json::array();
    for (const std::string& name : names_in(value_or_throw(parse_expression(given(expression, "the expression"))))) {
      if (std::find(constants.begin(), constants.end(), name) != constants.end()) used.push_back(name);
      else if (!is_reserved_name(name)) names.push_back(name);
    }
    *json = new_text(dumped({{"names", names}, {"constants", used}}));
  });
}

std::int32_t parcompute_expression_type(const char* expression, const parcompute_argument* operands, std::size_t count, std::int32_t* dtype, std::int32_t* ndim, std::int64_t* shape) {
  return guarded([&] {
    Arguments a("expression_type", operands, count);
    std::vector<ExpressionOperand> specs;
    for (const Evaluate::Operand& operand : a.operands()) specs.push_back({operand.name, operand.array.spec()});
    a.finish();
    const Evaluation evaluation = value_or_throw(compile_expression(given(expression, "the expression"), specs, std::nullopt));
    const ArraySpec& result = evaluation.stages.back().result;
    *dtype = static_cast<std::int32_t>(result.dtype);
    *ndim = static_cast<std::int32_t>(result.shape.size());
    std::copy(result.shape.begin(), result.shape.end(), shape);
  });
}
}
