// Arrays that jobs change in place, and what must be in them.
//
// Every job reads what it writes, so that a block that ran twice, half, or on elements that were written already shows in the
// bits: each job must count exactly once, whatever died while it ran. The model is a copy in the client that goes through the
// same steps.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <string>

#include "tests/fault/campaign.h"

namespace parcompute::testing {

// A client's own array: of 1 element to several MiB, of whole numbers or reals, one- or two-dimensional.
class InPlaceArray {
 public:
  virtual ~InPlaceArray() = default;
  // Makes the array.
  virtual void make(CampaignClient& client) = 0;
  // Several jobs at once, one behind the other, then a comparison with the model. Where a job fails as the faults explain, the
  // array must be as it was before that job or marked incomplete; then it is made again.
  virtual void change(CampaignClient& client) = 0;
  virtual void remove(CampaignClient& client) = 0;
};
std::unique_ptr<InPlaceArray> choose_in_place_array(CampaignClient& client);

// One array that all clients add to: its elements are the number of jobs that ended well.
class SharedCounter {
 public:
  static constexpr const char* kName = "shared-counter";

  void make(Session& session);
  void add(CampaignClient& client);
  // Empty where every element is the count. No client is adding.
  std::string complaint(Session& session) const;

 private:
  void mend(CampaignClient& client);

  std::shared_mutex mutex_;  // held alone by whoever makes the array again
  std::atomic<std::int64_t> count_ = 0;
};

}  // namespace parcompute::testing
