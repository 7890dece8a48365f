// What the client's exit status says: one number per kind of trouble, sysexits(3) where it has one.
#pragma once

#include "common/base/error_code.h"

namespace parcompute::cli {

inline constexpr int kExitComputationFailed = 1;
inline constexpr int kExitUsage = 64;    // the command line itself
inline constexpr int kExitBadData = 65;  // operands, or a file's bytes
inline constexpr int kExitNoInput = 66;  // no such array, job or file
inline constexpr int kExitNoServer = 69;
inline constexpr int kExitSystem = 71;  // any other refusal of the operating system
inline constexpr int kExitCannotCreate = 73;
inline constexpr int kExitOutput = 74;  // standard output cannot be written
inline constexpr int kExitOverBudget = 75;
inline constexpr int kExitProtocolVersion = 76;
inline constexpr int kExitNotPermitted = 77;
inline constexpr int kExitTimeout = 124;        // timeout(1)'s
inline constexpr int kExitNotExecutable = 126;  // the shell's, for with-server
inline constexpr int kExitNoProgram = 127;
inline constexpr int kExitCancelled = 130;  // Ctrl-C, or the job was cancelled

int exit_code(ErrorCode code);

}  // namespace parcompute::cli
