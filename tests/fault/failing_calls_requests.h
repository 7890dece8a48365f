// The kinds of requests that failing_calls_test.cc tries with calls that fail: small ones, each of which looks at its result.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "client/cpp/parcompute.h"

namespace parcompute::testing {

// Names of arrays that must be there: `base` is float64[131072], 0 1 2 ...; `square` float64[64, 64], 0 1 2 ...; `steps`
// int64[131072] with the values 0 to 999 over and over.
inline constexpr const char* kBase = "base";
inline constexpr const char* kSquare = "square";
inline constexpr const char* kSteps = "steps";
void make_operands(Session& session, const std::filesystem::path& directory);

struct FaultyRequest {
  std::string name;
  // Throws WrongResult where the request was answered, and the answer is wrong. What it makes in the server has a name that
  // begins with "made".
  std::function<void(Session& session)> run;
  // What else must hold when no call fails any more, whether or not run() threw. Throws WrongResult.
  std::function<void(bool has_thrown)> look = {};
};

struct WrongResult : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// `directory`: where make_operands() has put files.
std::vector<FaultyRequest> faulty_requests(const std::filesystem::path& directory);

}  // namespace parcompute::testing
