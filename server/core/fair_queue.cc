#include "server/core/fair_queue.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>
#include <utility>

namespace parcompute::server {
namespace {

// Who comes, or comes back, begins by this much before the others: by the two packets that a worker holds, so that it is next. (Where there are more
// than 125 workers packets are longer, see chunk_sizing.cc; but with so many, one is done at any moment.)
constexpr double kCreditNs = 4e6;
// Whose time was guessed too high, so that the others were served meanwhile, is paid back so much at most.
constexpr double kMostPaidBackNs = 40e6;
// Vacant members looked at when one is added: more go than come.
constexpr int kVacantLookedAt = 2;

constexpr std::size_t index_of(int priority) { return static_cast<std::size_t>(priority - kMinPriority); }

}  // namespace

double weight_of(int priority) {
  static const auto kWeights = [] {
    std::array<double, kMaxPriority - kMinPriority + 1> weights{};
    for (int step = kMinPriority; step <= kMaxPriority; ++step) weights[index_of(step)] = std::pow(1.25, -step);
    return weights;
  }();
  return kWeights[index_of(priority)];
}

double FairQueue::Entry::weight() const {
  return weight_of(priority_);
}

FairQueue::FairQueue() : root_(std::make_unique<Entry>()) {}

FairQueue::Entry& FairQueue::member(Entry& parent, std::uint64_t key) {
  auto& slot = parent.members_[key];
  if (!slot) {
    slot = std::make_unique<Entry>();
    slot->key_ = key;
    slot->parent_ = &parent;
  } else if (slot->list_base_hook<>::is_linked()) {
    parent.vacant_.erase(parent.vacant_.iterator_to(*slot));
  }
  for (int looked = 0; looked < kVacantLookedAt && !parent.vacant_.empty(); ++looked) {
    Entry& oldest = parent.vacant_.front();
    parent.vacant_.pop_front();
    // Should it come back, it would begin as if it were new.
    if (parent.queue_.empty() || oldest.served_ <= parent.now_ - kCreditNs) parent.members_.erase(oldest.key_);
    else parent.vacant_.push_back(oldest);
  }
  return *slot;
}

FairQueue::Entry& FairQueue::add(uid_t user, SessionId session, JobId job, int priority) {
  Entry& entry = member(member(member(*root_, user), session.value), job.value);
  entry.priority_ = priority;
  return entry;
}

void FairQueue::remove(Entry& job) {
  dequeue(job);
  Entry* parent = job.parent_;
  parent->members_.erase(job.key_);
  while (parent->parent_ != nullptr && parent->members_.size() == parent->vacant_.size()) {
    Entry& vacant = *parent;
    parent = vacant.parent_;
    if (!vacant.list_base_hook<>::is_linked()) parent->vacant_.push_back(vacant);
  }
}

void FairQueue::enqueue(Entry& job) {
  if (job.is_queued_) return;
  ++size_;
  enqueue_in_parent(job);
}

void FairQueue::dequeue(Entry& job) {
  if (!job.is_queued_) return;
  --size_;
  dequeue_from_parent(job);
}

void FairQueue::enqueue_in_parent(Entry& entry) {
  Entry& parent = *entry.parent_;
  entry.served_ = std::max(entry.served_, parent.now_ - kCreditNs / entry.weight());
  entry.tell();
  entry.order_ = ++last_order_;
  entry.is_queued_ = true;
  parent.queue_.insert(entry);
  count(parent, entry.priority_, true);
  if (parent.parent_ != nullptr && !parent.is_queued_) enqueue_in_parent(parent);
}

void FairQueue::dequeue_from_parent(Entry& entry) {
  Entry& parent = *entry.parent_;
  entry.is_queued_ = false;
  parent.queue_.erase(parent.queue_.iterator_to(entry));
  count(parent, entry.priority_, false);
  if (!parent.queue_.empty()) return;
  // Nobody waits, so nobody is wronged where all begin anew.
  parent.now_ = parent.latest_;
  if (parent.parent_ != nullptr) dequeue_from_parent(parent);
}

// One of the parent's queue, of that priority, more or fewer; the parent has the soonest of them.
void FairQueue::count(Entry& parent, int priority, bool one_more) {
  std::uint32_t& counted = parent.counts_[index_of(priority)];
  counted += one_more ? 1u : -1u;
  parent.weight_ += one_more ? weight_of(priority) : -weight_of(priority);
  const std::uint64_t bit = std::uint64_t{1} << index_of(priority);
  parent.present_ = counted > 0 ? parent.present_ | bit : parent.present_ & ~bit;
  if (parent.present_ == 0) {
    parent.weight_ = 0;  // not almost 0
    return;
  }
  const int soonest = std::countr_zero(parent.present_) + kMinPriority;
  const int before = std::exchange(parent.priority_, soonest);
  if (soonest == before || !parent.is_queued_) return;
  count(*parent.parent_, soonest, true);
  count(*parent.parent_, before, false);
}

std::optional<JobId> FairQueue::next() const {
  const Entry* entry = root_.get();
  while (!entry->queue_.empty()) entry = &*entry->queue_.begin();
  if (entry == root_.get()) return std::nullopt;
  return JobId{entry->key_};
}

void FairQueue::reorder(Entry& entry) {
  entry.tell();
  if (!entry.is_queued_) return;
  auto& queue = entry.parent_->queue_;
  const auto here = queue.iterator_to(entry);
  const auto after = std::next(here);
  const bool is_in_order = (here == queue.begin() || Entry::Sooner{}(*std::prev(here), entry)) && (after == queue.end() || Entry::Sooner{}(entry, *after));
  if (is_in_order) return;
  queue.erase(here);
  queue.insert(entry);
}

void FairQueue::charge(Entry& job, double expected_ns) {
  for (Entry* entry = &job; entry->parent_ != nullptr; entry = entry->parent_) {
    entry->in_hand_ns_ += expected_ns;
    entry->order_ = ++last_order_;
    reorder(*entry);
  }
}

void FairQueue::settle(Entry& job, double expected_ns, double ns) {
  for (Entry* entry = &job; entry->parent_ != nullptr; entry = entry->parent_) {
    entry->in_hand_ns_ = std::max(0.0, entry->in_hand_ns_ - expected_ns);
    entry->served_ += ns / entry->weight();
    advance(*entry, ns);
    reorder(*entry);
    if (expected_ns > ns) forfeit(*entry, expected_ns - ns);
  }
}

void FairQueue::advance(const Entry& entry, double ns) {
  Entry& parent = *entry.parent_;
  parent.latest_ = std::max(parent.latest_, entry.served_);
  const bool is_alone = entry.is_queued_ && std::next(parent.queue_.begin()) == parent.queue_.end();
  if (parent.queue_.empty()) parent.now_ = parent.latest_;
  else if (is_alone) parent.now_ = entry.served_;
  else parent.now_ += ns / parent.weight_with(entry);
}

// For so long it was wrongly thought to have had its part, and others went first: of that it gets little back.
void FairQueue::forfeit(Entry& entry, double ns) {
  const auto& queue = entry.parent_->queue_;
  if (!entry.is_queued_ || &*queue.begin() != &entry) return;
  const auto other = std::next(queue.begin());
  if (other == queue.end()) return;
  // It stays the first.
  const double ahead = std::min(ns / entry.weight(), other->virtual_time_ - entry.virtual_time_);
  const double lost = ahead - kMostPaidBackNs / std::min(entry.weight(), other->weight());
  if (lost <= 0) return;
  entry.served_ += lost;
  entry.tell();
}

std::size_t FairQueue::users() const {
  return root_->members_.size();
}

double FairQueue::share(const Entry& job) const {
  double part = 1;
  for (const Entry* entry = &job; entry->parent_ != nullptr; entry = entry->parent_) {
    part *= entry->weight() / entry->parent_->weight_with(*entry);
  }
  return part;
}

}  // namespace parcompute::server
