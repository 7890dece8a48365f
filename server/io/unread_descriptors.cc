#include "server/io/unread_descriptors.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace parcompute::server {
namespace {

// No packet takes less of the kernel's memory: its header and what it says of its data take more.
constexpr std::size_t kLeastPacketBytes = 512;

// How many packets the other end has not taken yet, at most: a client that is only a little behind is never seen with none. Of a Unix socket
// SIOCOUTQ is the memory of all of them.
std::size_t most_unread(int socket) {
  int bytes = 0;
  if (::ioctl(socket, SIOCOUTQ, &bytes) != 0) return std::numeric_limits<std::size_t>::max();
  return (static_cast<std::size_t>(bytes) + kLeastPacketBytes - 1) / kLeastPacketBytes;
}

}  // namespace

UnreadDescriptors::~UnreadDescriptors() {
  // In them may lie what clients sent.
  for (auto& [uid, user] : users_)
    for (auto& [session, letterbox] : user.letterboxes) closers_.of(uid).close(std::move(letterbox.parted));
}

bool UnreadDescriptors::may_send(uid_t uid) {
  const auto found = users_.find(uid);
  if (found == users_.end() || found->second.descriptors < most_) return true;
  look(uid, found->second);
  return found->second.descriptors < most_;
}

void UnreadDescriptors::on_sent(uid_t uid, SessionId session, const std::shared_ptr<PacketSocket>& socket) {
  User& user = users_[uid];
  Letterbox& letterbox = user.letterboxes[session];
  letterbox.socket = socket;
  ++letterbox.descriptors;
  ++user.descriptors;
}

void UnreadDescriptors::on_session_ended(uid_t uid, SessionId session, PacketSocket& socket) {
  const auto user = users_.find(uid);
  const auto letterbox = user == users_.end() ? std::map<SessionId, Letterbox>::iterator{} : user->second.letterboxes.find(session);
  if (user == users_.end() || letterbox == user->second.letterboxes.end()) return socket.close();
  letterbox->second.parted = socket.part();
  look(uid, user->second);
  if (user->second.letterboxes.empty()) users_.erase(user);
}

std::size_t UnreadDescriptors::of(uid_t uid) const {
  const auto found = users_.find(uid);
  return found == users_.end() ? 0 : found->second.descriptors;
}

void UnreadDescriptors::look(uid_t uid, User& user) {
  for (auto entry = user.letterboxes.begin(); entry != user.letterboxes.end();) {
    Letterbox& letterbox = entry->second;
    const auto socket = letterbox.socket.lock();
    std::size_t unread = letterbox.descriptors;
    if (letterbox.parted) unread = std::min(unread, most_unread(letterbox.parted.get()));
    else if (socket == nullptr) unread = 0;
    else if (socket->is_idle()) unread = std::min(unread, most_unread(socket->fd()));
    user.descriptors -= letterbox.descriptors - unread;
    letterbox.descriptors = unread;
    if (unread > 0) {
      ++entry;
      continue;
    }
    closers_.of(uid).close(std::move(letterbox.parted));
    entry = user.letterboxes.erase(entry);
  }
}

}  // namespace parcompute::server
