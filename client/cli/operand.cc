#include "client/cli/operand.h"

#include <fmt/format.h>

#include "common/array/view.h"

namespace parcompute::cli {

bool names_file(std::string_view text) {
  return text.ends_with(".npy") || text.find('/') != std::string_view::npos;
}

Array operand(Session& session, const std::string& text) {
  const auto [name, view] = split_view(text);
  if (view.empty()) return names_file(text) ? session.attach_npy("", text) : session.find(text);
  if (names_file(name)) return session.attach_npy("", std::string(name)).viewed(view);
  try {
    return session.find(name).viewed(view);
  } catch (const Failure& failure) {
    // A name may hold what looks like a view.
    if (failure.code() != ErrorCode::kNotFound) throw;
    try {
      return session.find(text);
    } catch (const Failure&) {
      throw failure;
    }
  }
}

Array whole_operand(Session& session, const std::string& text) {
  Array array = operand(session, text);
  if (array.info().incomplete)
    throw Failure(ErrorCode::kBadData,
                  fmt::format("array '{}' is incomplete: a job is still writing it (see 'parcompute-client job list'; 'job wait ID' waits for it), or "
                              "was cut off when its server ended: then remove it and make it again",
                              text));
  return array;
}

}  // namespace parcompute::cli
