#include "client/cli/operand.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "common/array/view.h"
#include "common/expression/hints.h"
#include "common/expression/program.h"
#include "common/expression/syntax.h"

namespace parcompute::cli {

bool names_file(std::string_view text) {
  return text.ends_with(".npy") || text.find('/') != std::string_view::npos;
}

namespace {

struct MethodRow {
  std::string_view name;
  std::string_view instead;
};
constexpr std::array<MethodRow, 10> kMethods{{
    {"ravel", "write .reshape(-1)"},
    {"flatten", "write .reshape(-1)"},
    {"flat", "write .reshape(-1)"},
    {"squeeze", "write [0], [:, 0], ... for the axes of one element"},
    {"T", "write .T"},
    {"mT", "write .T, or .transpose(0, 2, 1) of a stack"},
    {"swapaxes", "write .transpose(1, 0)"},
    {"astype", "'array copy ARRAY NAME --dtype DTYPE' makes an array of another dtype"},
    {"copy", "'array copy ARRAY NAME' makes an array"},
    {"view", "write [...]"},
}};

bool exists(Session& session, std::string_view name) {
  try {
    session.find(name);
    return true;
  } catch (const Failure&) {
    return false;
  }
}

// What to write in place of the method that `text` has at the dot. Empty where there is none.
std::string method_hint(std::string_view text, std::size_t dot) {
  const std::string_view step = text.substr(dot), word = step.substr(1, step.find_first_of("([. ", 1) - 1);
  for (const MethodRow& row : kMethods)
    if (row.name == word && step != ".T") return std::string(row.instead);
  const auto reductions = reduction_names(), functions = function_names();
  if (std::find(reductions.begin(), reductions.end(), word) != reductions.end())
    return fmt::format("run reduce {} '{}' computes it, --out NAME keeps it", word, text.substr(0, dot));
  if (std::find(functions.begin(), functions.end(), word) != functions.end()) return fmt::format("run expr '{}' --out NAME makes an array of it", text);
  return {};
}

// What else 'm.ravel()', 'm [0]', '0,1' or 'x>0' may be than a name: empty where there is nothing to say.
std::string no_name_hint(Session& session, std::string_view text) {
  for (std::size_t dot = text.rfind('.'); dot != std::string_view::npos && dot > 0; dot = text.rfind('.', dot - 1)) {
    if (!exists(session, split_view(text.substr(0, dot)).name)) continue;
    const std::string hint = method_hint(text, dot);
    return fmt::format("'{}' is no view: {}", text.substr(dot), hint.empty() ? "write [10:20, ::-1], .T, .transpose(1, 0) or .reshape(4, -1)" : hint);
  }
  const std::string_view name = split_view(text).name, trimmed = name.substr(0, name.find_last_not_of(' ') + 1);
  if (!trimmed.empty() && trimmed != name && exists(session, trimmed)) return fmt::format("'{}' ends in a blank: write '{}{}'", name, trimmed, text.substr(name.size()));
  constexpr std::string_view kNeeded = "an operand is an array's name, a .npy file or a view of either";
  if (text.starts_with('[') || text.find_first_not_of("0123456789.,+-eEj ") == std::string_view::npos)
    return fmt::format("'{}' is no array: {}; 'array create', 'array arange' and 'run expr ... --out NAME' make arrays", text, kNeeded);
  if (text.find_first_of("<>=!+*/%&|()") != std::string_view::npos && parse_expression(text))
    return fmt::format("'{0}' is no array: {1}; run expr '{0}' --out NAME makes one", text, kNeeded);
  return {};
}

Array viewed(const Array& array, const NameAndView& parts, const std::string& text) {
  try {
    return array.viewed(parts.view);
  } catch (const Failure& failure) {
    std::string hint = expression::index_hint(parts.name, parts.view);
    if (const std::size_t dot = text.rfind('.'); hint.empty() && dot != std::string::npos && dot > parts.name.size())
      if (hint = method_hint(text, dot); !hint.empty()) hint.insert(0, "; ");
    if (failure.code() != ErrorCode::kInvalidArgument || hint.empty()) throw;
    throw Failure(failure.code(), failure.what() + hint);
  }
}

}  // namespace

Array operand(Session& session, const std::string& text) {
  const NameAndView parts = split_view(text);
  if (names_file(text) && parts.view.empty()) return session.attach_npy("", text);
  if (names_file(parts.name)) return viewed(session.attach_npy("", std::string(parts.name)), parts, text);
  std::optional<Array> array;
  try {
    array = session.find(parts.name);
  } catch (const Failure& failure) {
    // A name may hold what looks like a view.
    if (failure.code() != ErrorCode::kNotFound) throw;
    try {
      if (!parts.view.empty()) return session.find(text);
    } catch (const Failure&) {
    }
    const std::string hint = no_name_hint(session, text);
    if (hint.empty()) throw;
    throw Failure(failure.code(), hint);
  }
  return parts.view.empty() ? *array : viewed(*array, parts, text);
}

Array whole_operand(Session& session, const std::string& text) {
  Array array = operand(session, text);
  const ArrayInfo& info = array.info();
  if (!info.incomplete) return array;
  if (info.writer_job != 0)
    throw Failure(ErrorCode::kBadData, fmt::format("array '{}' is being written by job {}: wait for it with 'parcompute-client job wait {}'", info.name, info.writer_job, info.writer_job));
  throw Failure(ErrorCode::kBadData, fmt::format("array '{0}' is incomplete: it was being written when its job was cancelled or failed, or its server ended; write all of it anew (run ... --into {0}), "
                                                 "take it as it is ('parcompute-client array accept {0}'), or remove it ('parcompute-client array rm {0}')",
                                                 info.name));
}

}  // namespace parcompute::cli
