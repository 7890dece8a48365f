// Servers that a client starts: embedded ones, which go on for the user, and private ones for one program.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

namespace parcompute {

struct ServerOptions {
  std::filesystem::path socket;      // empty: the user's own ($XDG_RUNTIME_DIR/parcompute or /tmp/parcompute-$UID)
  unsigned workers = 0;              // 0: one per CPU allowed
  std::uint64_t memory_bytes = 0;    // 0: what the machine allows
  std::optional<std::uint64_t> spare_bytes;  // of removed arrays, kept for the next ones; nothing: a quarter of the memory
  std::optional<double> idle_seconds = 60;  // leave after so long without arrays, jobs and clients; nothing: never
  bool hyperthreads = false;  // without `workers`: one for each hardware thread, not for each core
  enum class Pinning { kWhereOwn, kAlways, kNever };
  Pinning pinning = Pinning::kWhereOwn;  // workers to CPUs, where these are the server's own: its affinity is narrower than the machine
};

// Starts parcompute-server in a session (setsid) of its own and returns when it answers. Throws Failure: kNoServer with the
// server's own words where it does not start, kAlreadyExists where one answers there already.
// The binary is $PARCOMPUTE_SERVER, or parcompute-server beside this program, or in ../libexec/parcompute, or on PATH.
void start_server(const ServerOptions& options);

// A server for the lifetime of this object, on a socket in a fresh private directory. It leaves, with its arrays, when
// the object is destroyed or this process dies in whatever way.
class PrivateServer {
 public:
  explicit PrivateServer(const ServerOptions& options = {});
  PrivateServer(PrivateServer&&) noexcept;
  ~PrivateServer();

  const std::filesystem::path& socket() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace parcompute
