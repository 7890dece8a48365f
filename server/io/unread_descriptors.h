// UnreadDescriptors: which descriptors lie in clients' sockets unread, counted by user.
//
// The kernel lets a user have no more descriptors on their way, over all of its sockets, than one of its processes may have open; what the
// server sent to clients counts as the server's until it is read. And what does not fit into a client's socket waits in the
// server, which keeps a descriptor for each. A client that asks and never reads would so keep workers from being sent theirs. So a user
// has a limit, and who is at it gets refusals in place of descriptors until something was read. A session that ended counts until what lies in
// its socket was read or thrown away, for its end of it is kept as long.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <map>
#include <memory>

#include "common/base/ids.h"
#include "server/io/closer.h"
#include "server/io/packet_socket.h"

namespace parcompute::server {

class UnreadDescriptors {
 public:
  UnreadDescriptors(Closers& closers, std::size_t most) : closers_(closers), most_(most) {}
  UnreadDescriptors(const UnreadDescriptors&) = delete;
  UnreadDescriptors& operator=(const UnreadDescriptors&) = delete;
  ~UnreadDescriptors();

  // Whether the user may be sent one more.
  bool may_send(uid_t uid);
  // One was sent, or waits to be sent.
  void on_sent(uid_t uid, SessionId session, const std::shared_ptr<PacketSocket>& socket);
  // Closes the session's socket.
  void on_session_ended(uid_t uid, SessionId session, PacketSocket& socket);

  std::size_t of(uid_t uid) const;

 private:
  struct Letterbox {
    std::weak_ptr<PacketSocket> socket;
    UniqueFd parted;  // of a session that ended
    std::size_t descriptors = 0;
  };
  struct User {
    std::map<SessionId, Letterbox> letterboxes;
    std::size_t descriptors = 0;
  };
  // Forgets what has been read.
  void look(uid_t uid, User& user);

  Closers& closers_;
  std::size_t most_;
  std::map<uid_t, User> users_;
};

}  // namespace parcompute::server
