// Ledger: one client's named arrays, and what a server that is killed at this moment may leave of each.
//
// Before every call the ledger says what the call may lead to, and afterwards what it has led to: a call that was answered has
// happened, one that was not has happened, or not, or is marked as cut off in the middle. The ledger lives in the test, which no
// fault touches; the next server's arrays are held against it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "tests/fault/campaign.h"

namespace parcompute::testing {

class Ledger {
 public:
  explicit Ledger(std::size_t owner);

  // One thing at random: makes, writes, computes, changes or removes an array. Throws the client's Failure where the server goes.
  void act(CampaignClient& client);

  // Holds the next server's arrays against the ledger; what was uncertain is known afterwards. Arrays that were cut off are
  // removed or made again. Answers the first thing that may not be; empty where all is well.
  std::string settle(Session& session, Dice& dice);
  bool knows(const std::string& name) const { return entries_.contains(name); }
  void remove_all(Session& session);

 private:
  using Content = std::vector<std::int64_t>;
  struct Entry {
    std::deque<Content> may_be;  // whole, one of these; the first is the oldest
    bool may_be_absent = false;
    bool may_be_cut = false;  // marked incomplete
  };

  void make(CampaignClient& client, const std::string& name);
  void write(CampaignClient& client, const std::string& name);
  void compute(CampaignClient& client, const std::string& from, const std::string& to);
  void change(CampaignClient& client, const std::string& name);
  void remove(CampaignClient& client, const std::string& name);
  void pass_through(CampaignClient& client);
  void read(CampaignClient& client, const std::string& name);

  std::string prefix_;
  std::map<std::string, Entry> entries_;  // of names that may be there
};

}  // namespace parcompute::testing
