// JobMix: jobs of all kinds, and the bits that each must give.
//
// The bits come from a quiet server with one worker, before anything is harmed: results are the same for any number of workers,
// any chunk size and any death in between. Where the answer has a plain closed form, the quiet server is held against that.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/fault/campaign.h"

namespace parcompute::testing {

class JobMix {
 public:
  JobMix();

  // An answer, bit by bit.
  struct Answer {
    bool is_array = false;
    DType dtype = DType::kFloat64;
    std::vector<std::int64_t> shape;
    std::string bytes;
    bool operator==(const Answer&) const = default;
  };

  // Makes the operands, named arrays that every client finds. They stay.
  static void make_operands(Session& session);
  std::size_t size() const { return expected_.size(); }
  // One job, chosen at random as are its chunks, its workers and where its result goes: to a new array with or without a
  // name, or into one that exists. A failure that the campaign's faults explain ends it.
  void run_one(CampaignClient& client) const;
  // All jobs once, in order.
  void run_all(Session& session) const;

 private:
  std::vector<Answer> expected_;  // by job
};

}  // namespace parcompute::testing
