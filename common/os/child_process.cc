#include "common/os/child_process.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <sstream>

#include <fmt/format.h>

#include "common/os/file_reader.h"
#include "common/os/system_error.h"

namespace parcompute {
namespace {

// posix_spawn's objects, released on every way out.
struct FileActions {
  posix_spawn_file_actions_t value;
  FileActions() { ::posix_spawn_file_actions_init(&value); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&value); }
  FileActions(const FileActions&) = delete;
};
struct Attributes {
  posix_spawnattr_t value;
  Attributes() { ::posix_spawnattr_init(&value); }
  ~Attributes() { ::posix_spawnattr_destroy(&value); }
  Attributes(const Attributes&) = delete;
};

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> list;
  for (std::string& text : strings) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

std::vector<std::string> merged_environment(const std::vector<std::string>& changes) {
  std::vector<std::string> merged = changes;
  const auto is_changed = [&](std::string_view entry) {
    const auto key = entry.substr(0, entry.find('=') + 1);
    return std::any_of(changes.begin(), changes.end(), [&](const std::string& change) { return change.starts_with(key); });
  };
  for (char** entry = environ; *entry != nullptr; ++entry)
    if (!is_changed(*entry)) merged.emplace_back(*entry);
  return merged;
}

bool is_program(const std::filesystem::path& path) {
  return ::access(path.c_str(), X_OK) == 0 && std::filesystem::is_regular_file(path);
}

// The shared library that this code came in; empty where it is the program's own.
std::filesystem::path code_file() {
  Dl_info here{};
  link_map* object = nullptr;
  const bool is_known = ::dladdr1(reinterpret_cast<const void*>(&find_program), &here, reinterpret_cast<void**>(&object), RTLD_DL_LINKMAP) != 0;
  return is_known && object != nullptr && object->l_name != nullptr ? object->l_name : "";
}

}  // namespace

void occupy_standard_streams() {
  // The lowest free number is given. Where even this fails, there is nobody to be told.
  for (const auto& [number, flags] : {std::pair{STDIN_FILENO, O_WRONLY}, {STDOUT_FILENO, O_RDONLY}, {STDERR_FILENO, O_RDONLY}})
    if (::fcntl(number, F_GETFD) < 0 && ::open("/dev/null", flags) != number) return;
}

Result<pid_t> spawn(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                    const SpawnOptions& options) {
  FileActions actions;
  if (options.null_input_output) {
    ::posix_spawn_file_actions_addopen(&actions.value, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_addopen(&actions.value, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  }
  if (options.error_output) ::posix_spawn_file_actions_adddup2(&actions.value, *options.error_output, STDERR_FILENO);
  // dup2 onto itself clears close-on-exec in the child.
  for (const int fd : options.inherited) ::posix_spawn_file_actions_adddup2(&actions.value, fd, fd);

  Attributes attributes;
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes.value, &none);
  ::posix_spawnattr_setsigdefault(&attributes.value, &all);
  short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
  if (options.new_session) flags = static_cast<short>(flags | POSIX_SPAWN_SETSID);
  ::posix_spawnattr_setflags(&attributes.value, flags);

  std::vector<std::string> words{program.native()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> environment = merged_environment(options.environment);
  pid_t pid = 0;
  const int error_number = ::posix_spawn(&pid, program.c_str(), &actions.value, &attributes.value, pointers(words).data(),
                                         pointers(environment).data());
  if (error_number != 0) return fail(system_error("start", program.native(), error_number));
  return pid;
}

Result<std::filesystem::path> find_program(const std::string& name, const char* override_variable) {
  if (const char* chosen = std::getenv(override_variable); chosen != nullptr && *chosen != '\0') {
    if (is_program(chosen)) return std::filesystem::path(chosen);
    return fail(ErrorCode::kNotFound, fmt::format("{}='{}' is no program that can be run", override_variable, chosen));
  }
  std::vector<std::filesystem::path> places;
  for (const auto& self : {code_file(), std::filesystem::path("/proc/self/exe")}) {
    std::error_code missing;
    const auto folder = std::filesystem::canonical(self, missing).parent_path();
    if (missing) continue;
    places.insert(places.end(), {folder, folder.parent_path() / "libexec/parcompute", folder.parent_path() / "bin", folder.parent_path() / "sbin",
                                 folder.parent_path().parent_path() / "bin"});
  }
  if (const char* path = std::getenv("PATH"); path != nullptr) {
    std::istringstream entries(path);
    for (std::string entry; std::getline(entries, entry, ':');)
      if (!entry.empty()) places.emplace_back(entry);
  }
  for (const auto& place : places)
    if (is_program(place / name)) return place / name;
  return fail(ErrorCode::kNotFound,
              fmt::format("program '{}' is neither beside this one nor on PATH: install it, or name it in {}", name, override_variable));
}

bool is_stopped_process(pid_t pid) {
  if (pid == 0) return false;
  const auto text = read_small_file(fmt::format("/proc/{}/stat", pid));
  // "1234 (a name) T ...": the name may hold anything.
  const std::size_t name_end = text ? text->rfind(')') : std::string::npos;
  return name_end != std::string::npos && name_end + 2 < text->size() && (*text)[name_end + 2] == 'T';
}

}  // namespace parcompute
