#include "server/io/unread_descriptors.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <utility>

namespace parcompute::server {
namespace {

// Of a Unix socket this is the memory of all packets that the other end has not taken yet.
bool is_read(int socket) {
  int bytes = 0;
  return ::ioctl(socket, SIOCOUTQ, &bytes) == 0 && bytes == 0;
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
    const bool read = letterbox.parted ? is_read(letterbox.parted.get()) : socket == nullptr || (socket->is_idle() && is_read(socket->fd()));
    if (!read) {
      ++entry;
      continue;
    }
    user.descriptors -= letterbox.descriptors;
    closers_.of(uid).close(std::move(letterbox.parted));
    entry = user.letterboxes.erase(entry);
  }
}

}  // namespace parcompute::server
