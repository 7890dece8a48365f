#include "client/cli/operand.h"

namespace parcompute::cli {

bool names_file(std::string_view text) {
  return text.ends_with(".npy") || text.find('/') != std::string_view::npos;
}

Array operand(Session& session, const std::string& text) {
  return names_file(text) ? session.attach_npy("", text) : session.find(text);
}

}  // namespace parcompute::cli
