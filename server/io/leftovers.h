// Leftovers: segments of servers of the same user that are dead, on whatever socket, and that are no arrays.
//
// The next server on a socket takes away what the one before it left there. Where nobody will ever listen again, at the socket of a
// private server (PrivateServer) whose whole tree was killed, it would stay until the machine is restarted; so each server that
// starts looks at what others left.
#pragma once

#include <string>
#include <string_view>

namespace parcompute::server {

// Takes away each segment of this user that nobody alive has, by a descriptor or a mapping, and that no lasting server's array lies in:
// that is for the next one on its socket. Those that begin with `own` are somebody else's business. What cannot be told is left alone.
void take_leftovers_away(std::string_view own);

}  // namespace parcompute::server
