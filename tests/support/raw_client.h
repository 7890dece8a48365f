// A client without manners: it sends whatever bytes and descriptors a test wants.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proto/channel.h"
#include "proto/parcompute.pb.h"

namespace parcompute::testing {

class RawClient {
 public:
  explicit RawClient(const std::filesystem::path& socket);

  // One packet, as it is. False where the server has closed the connection.
  bool send(std::string_view bytes, std::span<const int> fds = {});
  bool send(const wire::Request& request, std::span<const int> fds = {});
  // As send(), but does not wait where the socket is full: false then, too.
  bool send_now(const wire::Request& request);
  // The next reply; nothing where the server has closed the connection.
  std::optional<wire::Reply> receive();
  std::optional<wire::Reply> ask(const wire::Request& request, std::span<const int> fds = {});
  // Opens the session.
  void greet();
  void close() { channel_.close(); }
  // Its end shows to the server, and what the server sent can still be read.
  void say_no_more();

 private:
  bool send(std::string_view bytes, std::span<const int> fds, int flags);

  Channel channel_;
  std::vector<std::byte> buffer_;
};

// A request with its id set.
wire::Request request(std::uint64_t id);
wire::Request hello_request();
wire::Request status_request(std::uint64_t id);
// Its blocks never end; chunks of one block each.
wire::Request endless_request(std::uint64_t id, bool detach);

}  // namespace parcompute::testing
