// FairQueue: whose job is next to have a worker.
//
// Start-time fair queueing (Goyal, Vin and Cheng, 1996) over a tree: the workers' time is shared between users, each one's part between
// its sessions, and a session's between its jobs. Each of them has a virtual time, which runs by the time that workers take for it, divided
// by its weight; whoever's is least is next. Who comes back after having nothing to hand out goes on a little before the virtual
// time that the others have reached: it is next, and saved nothing up. What somebody had beyond its part is remembered until the
// others have had as much, or nobody wants anything.
//
// A job's weight follows from its priority as in Linux (1.25 for each step of nice); a session's and a user's is that of the soonest of its
// jobs in the queue, so that whoever is nice in all it does is nice to other users, too.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>

#include "common/base/ids.h"
#include "proto/limits.h"

namespace parcompute::server {

class FairQueue {
 public:
  // A job's, which is in the queue or not; or a session's, a user's, everybody's. Lasts from add() to remove().
  class Entry;

  FairQueue();
  FairQueue(const FairQueue&) = delete;
  FairQueue& operator=(const FairQueue&) = delete;

  // A job that has nothing to hand out yet.
  Entry& add(uid_t user, SessionId session, JobId job, int priority);
  void remove(Entry& job);

  // It has something to hand out, or has nothing more. No effect where that is known.
  void enqueue(Entry& job);
  void dequeue(Entry& job);

  // The job that is due; none where none is in the queue.
  std::optional<JobId> next() const;
  // A worker was given something of the job that is expected to take it so long; and has done it, in the time that it took.
  void charge(Entry& job, double expected_ns);
  void settle(Entry& job, double expected_ns, double ns);

  std::size_t size() const { return size_; }  // jobs in the queue
  std::size_t users() const;                  // remembered
  // The part of the workers' time that is the job's while it and all others in the queue want workers.
  double share(const Entry& job) const;

 private:
  static constexpr std::size_t kPriorities = kMaxPriority - kMinPriority + 1;

  Entry& member(Entry& parent, std::uint64_t key);
  void enqueue_in_parent(Entry& entry);
  void dequeue_from_parent(Entry& entry);
  static void count(Entry& parent, int priority, bool one_more);
  static void reorder(Entry& entry);
  static void advance(const Entry& entry, double ns);
  static void forfeit(Entry& entry, double ns);

  std::unique_ptr<Entry> root_;
  std::size_t size_ = 0;
  std::uint64_t last_order_ = 0;
};

class FairQueue::Entry : public boost::intrusive::set_base_hook<>, public boost::intrusive::list_base_hook<> {
 public:
  bool is_queued() const { return is_queued_; }

 private:
  friend class FairQueue;
  using InSet = boost::intrusive::base_hook<boost::intrusive::set_base_hook<>>;
  using InList = boost::intrusive::base_hook<boost::intrusive::list_base_hook<>>;
  struct Sooner {
    bool operator()(const Entry& a, const Entry& b) const {
      return a.virtual_time_ != b.virtual_time_ ? a.virtual_time_ < b.virtual_time_ : a.order_ < b.order_;
    }
  };

  std::uint64_t key_ = 0;  // of the job, the session, the user
  Entry* parent_ = nullptr;
  int priority_ = 0;       // the soonest of those below that are in the queue; of none: the last one's
  double weight() const;
  void tell() { virtual_time_ = served_ + in_hand_ns_ / weight(); }

  double served_ = 0;        // the virtual time of what is done
  double in_hand_ns_ = 0;    // of what workers have, as expected
  double virtual_time_ = 0;  // of both
  std::uint64_t order_ = 0;  // among those of one virtual time: who has waited longest
  bool is_queued_ = false;

  // ---- of those below it, where it is no job
  std::map<std::uint64_t, std::unique_ptr<Entry>> members_;
  boost::intrusive::set<Entry, InSet, boost::intrusive::compare<Sooner>> queue_;
  std::array<std::uint32_t, kPriorities> counts_{};  // of the queue, by priority
  std::uint64_t present_ = 0;                        // a bit for each priority that is there
  double weight_ = 0;  // of the queue
  // And of this one, which may have left it with its last blocks in workers' hands.
  double weight_with(const Entry& member) const { return weight_ + (member.is_queued_ ? 0 : member.weight()); }
  double now_ = 0;     // where all of the queue would be had each its part to the nanosecond
  double latest_ = 0;  // that any of them reached
  boost::intrusive::list<Entry, InList> vacant_;  // members that have no members any more, kept for what they had
};

// Of the workers' time beside a job of priority 0: 1.25 to the power of -priority.
double weight_of(int priority);

}  // namespace parcompute::server
