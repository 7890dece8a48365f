// parcompute-client: data on standard output, messages on standard error, sysexits in between.
#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

#include "client/cli/describe.h"
#include "client/cli/exit_code.h"
#include "client/cli/parse.h"
#include "client/cli/text_width.h"
#include "common/os/child_process.h"
#include "common/os/system_error.h"

namespace {

using namespace parcompute;
using namespace parcompute::cli;

// Only a whole answer is success. A reader that has gone (| head) ends us as it ends any other program:
// quietly.
int put(const std::string& text, int status) {
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t written = write(STDOUT_FILENO, text.data() + at, text.size() - at);
    if (written >= 0) {
      at += static_cast<std::size_t>(written);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EPIPE) {
      std::signal(SIGPIPE, SIG_DFL);
      std::raise(SIGPIPE);
    }
    tell("parcompute-client: " + system_error("write to", "standard output", errno).message);
    return kExitOutput;
  }
  return status;
}

// Names and paths in messages may hold any bytes: JSON gets the replacement character for those that are no
// UTF-8.
std::string dump(const Value& value) {
  return value.dump(-1, ' ', false, Value::error_handler_t::replace) + "\n";
}

int fail_with(bool json, std::string_view code, std::string_view message, int status) {
  tell(fmt::format("parcompute-client: {}", message));
  return json ? put(dump(describe_error(code, message, status)), status) : status;
}

int run(const std::vector<std::string>& words) {
  auto parsed = parse(words);
  if (const Shown* shown = std::get_if<Shown>(&parsed)) return put(shown->text, 0);
  const Invocation& invocation = std::get<Invocation>(parsed);
  const Answer answer = invocation.handler(Context{invocation.flags});
  if (!answer.error.empty()) tell("parcompute-client: " + answer.error);
  if (answer.value.is_null()) return answer.exit_code;
  if (invocation.flags.json) return put(dump(answer.value), answer.exit_code);
  return put(invocation.command->print == nullptr ? "" : harmless(invocation.command->print(answer)), answer.exit_code);
}

// An attached file that someone cuts short while we read it.
void on_bus_error(int) {
  constexpr std::string_view kMessage =
      "parcompute-client: the array's file became shorter while it was read; attach it again\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kMessage.data(), kMessage.size());
  _exit(kExitBadData);
}

}  // namespace

int main(int argc, char** argv) {
  occupy_standard_streams();
  std::setlocale(LC_CTYPE, "");
  // A server that goes away is an error to report, not a signal to die of.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGBUS, on_bus_error);
  const std::vector<std::string> words(argv + 1, argv + argc);
  const bool json = asks_for_json(words);
  try {
    return run(words);
  } catch (const UsageError& error) {
    return fail_with(json, "usage", error.what(), kExitUsage);
  } catch (const Failure& failure) {
    return fail_with(json, error_code_name(failure.code()), failure.what(), exit_code(failure.code()));
  } catch (const std::bad_alloc&) {
    return fail_with(json, error_code_name(ErrorCode::kOverBudget),
                     "there is not enough memory for this command", kExitOverBudget);
  }
}
