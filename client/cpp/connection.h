// Connection: requests out, replies in, matched by their ids. Internal to the library.
//
// Whoever waits for a server, waits for words of its. Where it says nothing for as long as the patience is (it is stopped, or hangs),
// the call throws kTimeout, which says so; the connection is as good as before, and the answer, if it comes, is dropped.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "common/os/unique_fd.h"
#include "proto/channel.h"
#include "proto/parcompute.pb.h"

namespace parcompute {

using Instant = std::chrono::steady_clock::time_point;

// kTimeout, where the server at this socket has said nothing for so long.
[[noreturn]] void throw_silence(const std::filesystem::path& place, std::chrono::duration<double> silence);

class Connection {
 public:
  // `place`: the socket's path, for messages.
  Connection(Channel channel, std::filesystem::path place, std::chrono::milliseconds patience);

  // Says Hello and takes the welcome. Throws Failure where the server does not let in, or speaks another protocol.
  void greet(const std::string& client_name);
  // Whose numbers of arrays and jobs are spoken of: another one for each server that is started. 0: an older server, which does not say.
  std::uint64_t server_id() const { return server_id_; }
  // Somebody was told that it has ended. Nothing comes of it any more.
  bool has_ended() const { return has_ended_; }

  // Readable when the server has said something, or has gone.
  int descriptor() const { return channel_.fd(); }

  void set_patience(std::chrono::milliseconds patience);
  std::chrono::milliseconds patience() const { return patience_; }
  // "the server with pid 7 at '/run/...' does not answer: ...".
  std::string describe_silence(std::chrono::duration<double> silence) const;

  struct Received {
    wire::Reply reply;
    UniqueFd fd;  // that came with it
  };

  // Sends a request, whose id it sets and returns. Throws Failure (kNoServer) where the server has gone.
  std::uint64_t send(wire::Request& request, std::optional<int> fd = std::nullopt);
  // The reply to a request; a Failed one is thrown. Nothing where the server says nothing for as long as the patience is.
  std::optional<Received> receive(std::uint64_t id);
  // The same, where silence is thrown, too.
  Received answer_to(std::uint64_t id);
  // Sends, and receives.
  Received call(wire::Request& request, std::optional<int> fd = std::nullopt);
  // Keeps the next reply of whatever request; false where none came before the deadline, or a signal.
  bool gather(Instant deadline);
  // The reply to a request, where it has arrived and was not taken yet; else null.
  const wire::Reply* arrived(std::uint64_t id) const;
  // Whether the last Failure that was a reply was the reply to this request.
  bool was_refused(std::uint64_t id) const { return refused_ == id; }
  // Sends a request whose answer nobody wants; throws no Failure: whoever asks for something next is told of it. While the server is silent nothing is sent, but with the next request after it has spoken.
  void send_and_forget(wire::Request& request);
  // Nobody will ask for the reply to a request any more. Where it brings an anonymous array of this session's own
  // (`owns_output`), the server is told to remove it.
  void forget(std::uint64_t id, bool owns_output);
  // Returns when the server has closed the connection.
  void wait_for_end();

 private:
  std::uint64_t send_now(wire::Request& request, std::optional<int> fd);
  template <class Body>
  auto or_end(Body body) -> decltype(body());
  std::optional<Received> take(Packet& packet, bool lacks_descriptor);
  void keep(Received received);
  // Takes one packet; false where none came while the patience lasted. Nothing in `received` where its reply is unwanted.
  bool next_reply(std::optional<Received>& received);
  void discard(const wire::Reply& reply, bool owns_output);
  [[noreturn]] void throw_silence();
  [[noreturn]] void throw_cut_off();

  Channel channel_;
  std::filesystem::path place_;
  std::chrono::milliseconds patience_{};
  std::uint64_t server_id_ = 0;
  bool has_answered_ = false;
  bool has_ended_ = false;
  std::optional<wire::Failed> last_words_;
  bool is_silent_ = false;  // it was when somebody waited for it last
  std::deque<wire::Request> unsent_;  // which were to be forgotten meanwhile
  std::vector<std::byte> buffer_;
  std::string bytes_;
  std::uint64_t last_id_ = 0, refused_ = 0;
  std::unordered_map<std::uint64_t, Received> replies_;  // that came before they were asked for
  std::unordered_map<std::uint64_t, bool> unwanted_;  // whether their outputs are to be removed
};

}  // namespace parcompute
