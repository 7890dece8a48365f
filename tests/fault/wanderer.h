// A client that does whatever comes to its mind, until it is killed: parcompute-test-client wander SOCKET SEED.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace parcompute::testing {

// The arrays that must be there: of all whole numbers from 0, for reading; one that everybody writes into and nobody believes.
inline constexpr const char* kWandererSource = "wander-source";
inline constexpr const char* kWandererTarget = "wander-target";
inline constexpr std::int64_t kWandererSize = 150'000;
// What its detached jobs leave behind begins so, and is twice the source.
inline constexpr const char* kWandererPrefix = "left-";

// Never returns where all is well; hands what is wrong to `complain`.
void wander(const std::filesystem::path& socket, std::uint64_t seed, const std::function<void(const std::string&)>& complain);

}  // namespace parcompute::testing
