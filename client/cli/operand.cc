#include "client/cli/operand.h"

#include <fmt/format.h>

namespace parcompute::cli {

bool names_file(std::string_view text) {
  return text.ends_with(".npy") || text.find('/') != std::string_view::npos;
}

Array operand(Session& session, const std::string& text) {
  return names_file(text) ? session.attach_npy("", text) : session.find(text);
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
