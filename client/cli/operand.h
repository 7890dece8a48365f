// Arrays as the command line names them: "a" is an array of the server's, "a.npy", "./a" and "d/a" are files. Steps of a view
// may follow: "a[10:20, ::-1]", "a.npy[0].T".
#pragma once

#include <string>
#include <string_view>

#include "client/cpp/session.h"

namespace parcompute::cli {

// Ends in .npy, or holds a slash.
bool names_file(std::string_view text);

// The named array, or the file's elements, attached read-only for as long as the handle lives.
Array operand(Session& session, const std::string& text);

// The same, for a command that reads the elements itself. Throws Failure (kBadData) where a job has not written all of
// them.
Array whole_operand(Session& session, const std::string& text);

}  // namespace parcompute::cli
