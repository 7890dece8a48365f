#include "client/cli/modes.h"

#include <pwd.h>

#include <fmt/format.h>

#include "client/cli/flags.h"

namespace parcompute::cli {

CLI::Option* add_creation_mode(CLI::App& app, std::optional<ArrayMode>& out) {
  return add_mode(app, "--mode", out, "what others may do with it on a server that admits them: private (default), group-read or group-write");
}

void apply_mode(Session& session, ArrayInfo& array, std::optional<ArrayMode> mode) {
  if (!mode) return;
  session.set_mode(array.name, *mode);
  array.mode = *mode;
}

std::string user_name(std::uint32_t uid) {
  const passwd* const entry = ::getpwuid(uid);
  return entry != nullptr ? entry->pw_name : fmt::format("uid {}", uid);
}

}  // namespace parcompute::cli
