// Connection: requests out, replies in, matched by their ids. Internal to the library.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "common/os/unique_fd.h"
#include "proto/channel.h"
#include "proto/parcompute.pb.h"

namespace parcompute {

using Deadline = std::optional<std::chrono::steady_clock::time_point>;

class Connection {
 public:
  explicit Connection(Channel channel);

  struct Received {
    wire::Reply reply;
    UniqueFd fd;  // that came with it
  };

  // Sends a request, whose id it sets and returns. Throws Failure (kNoServer) where the server has gone.
  std::uint64_t send(wire::Request& request, std::optional<int> fd = std::nullopt);
  // The reply to a request; a Failed one is thrown. Nothing where the deadline passed or, with a deadline, a signal came.
  std::optional<Received> receive(std::uint64_t id, Deadline deadline = std::nullopt);
  // Both.
  Received call(wire::Request& request, std::optional<int> fd = std::nullopt);
  // The reply to a request, where it has arrived and was not taken yet; else null.
  const wire::Reply* arrived(std::uint64_t id) const;
  // Sends a request whose answer nobody wants.
  void send_and_forget(wire::Request& request);
  // Nobody will ask for the reply to a request any more. Where it brings an anonymous array of this session's own
  // (`owns_output`), the server is told to remove it.
  void forget(std::uint64_t id, bool owns_output);
  // Returns when the server has closed the connection.
  void wait_for_end();

 private:
  template <class Body>
  auto or_end(Body body) -> decltype(body());
  std::optional<Received> take(Packet& packet, bool lacks_descriptor);
  void keep(Received received);
  // Takes one packet. Nothing where its reply is unwanted, or as for receive().
  std::optional<Received> next_reply(Deadline deadline);
  void discard(const wire::Reply& reply, bool owns_output);

  Channel channel_;
  std::vector<std::byte> buffer_;
  std::string bytes_;
  std::uint64_t last_id_ = 0;
  std::unordered_map<std::uint64_t, Received> replies_;  // that came before they were asked for
  std::unordered_map<std::uint64_t, bool> unwanted_;  // whether their outputs are to be removed
};

}  // namespace parcompute
