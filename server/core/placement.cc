#include "server/core/placement.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

namespace parcompute::server {
namespace {

// A CPU, and its rank among those allowed: of a core's threads; of a node's that are as far in their cores; of a package's likewise.
struct Seat {
  CpuPlace place;
  std::size_t thread = 0, in_node = 0, in_package = 0;
};

// CPUs of which nothing is known are cores of their own, in the first package.
std::vector<Seat> seats_of(const Topology& topology, const std::vector<int>& cpus) {
  unsigned unknown = 0;
  for (const CpuPlace& place : topology.cpus) unknown = std::max(unknown, place.core + 1);
  std::vector<Seat> seats;
  for (const int cpu : cpus) {
    const CpuPlace* place = topology.find(cpu);
    seats.push_back({place != nullptr ? *place : CpuPlace{.cpu = cpu, .core = unknown++}});
  }
  return seats;
}

}  // namespace

std::vector<int> spread(const Topology& topology, const std::vector<int>& cpus) {
  std::vector<Seat> seats = seats_of(topology, cpus);
  std::map<unsigned, std::size_t> threads;
  std::map<std::pair<std::size_t, unsigned>, std::size_t> in_nodes, in_packages;
  for (Seat& seat : seats) {
    seat.thread = threads[seat.place.core]++;
    seat.in_node = in_nodes[{seat.thread, seat.place.node}]++;
  }
  // Each package deals its nodes out in turn, and then the machine its packages.
  const auto deal = [&](auto rank) { std::sort(seats.begin(), seats.end(), [&](const Seat& a, const Seat& b) { return rank(a) < rank(b); }); };
  deal([](const Seat& seat) { return std::tuple(seat.thread, seat.in_node, seat.place.node, seat.place.cpu); });
  for (Seat& seat : seats) seat.in_package = in_packages[{seat.thread, seat.place.package}]++;
  deal([](const Seat& seat) { return std::tuple(seat.thread, seat.in_package, seat.place.package, seat.place.cpu); });
  std::vector<int> order;
  for (const Seat& seat : seats) order.push_back(seat.place.cpu);
  return order;
}

Placement place_workers(const CpuBudget& budget, const PlacementOptions& options) {
  Placement placement;
  const bool is_asked_for = options.workers > 0;
  placement.workers = std::clamp(is_asked_for ? options.workers : budget.count, 1U, options.most);
  placement.limit_source = is_asked_for ? "--workers" : budget.decider().name;
  placement.allowed = budget.cpus;
  const bool fills = placement.workers >= count_cores(options.topology, budget.cpus) && placement.workers <= budget.cpus.size();
  const bool pinned = options.pinning == Pinning::kAlways || (options.pinning == Pinning::kWhereOwn && budget.affinity_narrowed && fills);
  if (!pinned) return placement;
  placement.pins = spread(options.topology, budget.cpus);
  for (const int cpu : placement.pins) {
    const CpuPlace* place = options.topology.find(cpu);
    if (place == nullptr) {
      placement.nodes.clear();
      break;
    }
    placement.nodes.push_back(place->node);
  }
  for (std::size_t worker = 0; worker < placement.workers; ++worker) {
    const auto node = placement.node_of(worker);
    if (!node) break;
    if (placement.node_workers.size() <= *node) placement.node_workers.resize(*node + 1);
    ++placement.node_workers[*node];
  }
  return placement;
}

}  // namespace parcompute::server
