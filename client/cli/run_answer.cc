#include "client/cli/run_answer.h"

#include <fmt/format.h>

#include "client/cli/array_text.h"
#include "client/cli/describe.h"
#include "client/cli/number_text.h"

namespace parcompute::cli {
namespace {

// The value itself is in the JSON; float32 asks for its own shortest digits.
std::string scalar_text(const Value& result, const std::string& dtype) {
  if (result.is_string()) return result.get<std::string>();
  if (result.is_boolean()) return element_repr(result.get<bool>());
  if (!result.is_number_float()) return result.dump();
  return dtype == "float32" ? python_repr(static_cast<float>(result.get<double>()))
                            : python_repr(result.get<double>());
}

}  // namespace

Value describe_result(const JobResult& result) {
  Value value, dtype;
  if (result.scalar) {
    value = scalar_json(*result.scalar);
    dtype = name(result.scalar->dtype);
  } else if (result.output) {
    value = describe(result.output.info());
    dtype = name(result.output.dtype());
  }
  return {
      {"job", result.info.id},
      {"operation", result.info.operation},
      {"state", state_name(result.info.state)},
      {"result", value},
      {"dtype", dtype},
      {"seconds", result.info.seconds},
      {"chunks", result.info.chunks_done},
      {"bytes_read", result.info.bytes_read},
      {"bytes_written", result.info.bytes_written},
      {"retries", result.info.retries},
  };
}

std::string print_scalar(const Answer& answer) {
  const Value& result = answer.value["result"];
  if (result.is_null() || result.is_object()) return "";
  return scalar_text(result, answer.value["dtype"].get<std::string>()) + "\n";
}

std::string print_result(const Answer& answer) {
  const Value& result = answer.value["result"];
  if (result.is_object() && result["name"].is_string()) return result["name"].get<std::string>() + "\n";
  return print_scalar(answer);
}

std::string figures(const JobInfo& job, double work, std::string_view unit) {
  std::string text = fmt::format("{} s, {} chunk{}", measured_seconds(job.seconds), job.chunks_done,
                                 job.chunks_done == 1 ? "" : "s");
  if (work > 0 && job.seconds > 0) text += fmt::format(", {}{}", with_si_prefix(work / job.seconds), unit);
  if (job.retries > 0)
    text += fmt::format(", {} chunks computed again because their worker died", job.retries);
  return text;
}

}  // namespace parcompute::cli
