// Where workers sit, on machines of every shape.
#include "server/core/placement.h"

#include <algorithm>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/os/read_topology.h"

namespace parcompute::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAreArray;

Topology made_of(const std::string& description) {
  auto topology = synthetic_topology(description);
  EXPECT_TRUE(topology) << description;
  return topology ? *topology : Topology{};
}

std::vector<int> cpus_of(const Topology& topology) {
  std::vector<int> cpus;
  for (const CpuPlace& place : topology.cpus) cpus.push_back(place.cpu);
  return cpus;
}

// Two packages of two nodes of two cores of two threads each.
const Topology& two_packages() {
  static const Topology topology = made_of("pack:2 numa:2 core:2 pu:2");
  return topology;
}

// A machine of this topology, all of which may be used but for what `affinity` leaves out.
CpuBudget budget_of(const Topology& topology, std::vector<int> affinity, bool hyperthreads = false) {
  CpuEnvironment environment;
  environment.affinity = std::move(affinity);
  environment.topology = topology;
  environment.hyperthreads = hyperthreads;
  const std::string online = "0-" + std::to_string(topology.cpus.back().cpu);
  environment.read_file = [online](const std::string& path) -> Result<std::string> {
    if (path == "/sys/devices/system/cpu/online") return online;
    return fail(ErrorCode::kNotFound, "none");
  };
  return *decide_cpu_budget(environment);
}

TEST(Spread, GoesOverPackagesThenNodesThenCoresThenThreads) {
  // Package 0 has CPUs 0-7, its nodes 0-3 and 4-7; threads of one core are neighbours.
  EXPECT_THAT(spread(two_packages(), cpus_of(two_packages())), ElementsAre(0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15));
}

// On any machine, of the first n workers no package, node or core has two more than another one that has room.
TEST(Spread, IsEvenForAnyNumberOfWorkers) {
  for (const char* description : {"pack:1 core:2 pu:1", "pack:1 core:4 pu:2", "pack:2 numa:1 core:8 pu:2", "pack:4 numa:2 core:4 pu:1", "pack:8 numa:1 core:32 pu:1",
                                  "pack:8 numa:2 core:8 pu:2", "pack:2 numa:4 core:16 pu:4"}) {
    const Topology topology = made_of(description);
    const std::vector<int> order = spread(topology, cpus_of(topology));
    ASSERT_THAT(order, UnorderedElementsAreArray(cpus_of(topology)));
    std::map<unsigned, int> packages, nodes, cores;
    for (const CpuPlace& place : topology.cpus) packages[place.package] = nodes[place.node] = cores[place.core] = 0;
    for (const int cpu : order) {
      const CpuPlace& place = *topology.find(cpu);
      ++packages[place.package];
      ++nodes[place.node];
      ++cores[place.core];
      for (const auto* counts : {&packages, &nodes, &cores}) {
        const auto [least, most] = std::minmax_element(counts->begin(), counts->end(), [](const auto& a, const auto& b) { return a.second < b.second; });
        ASSERT_LE(most->second - least->second, 1) << description << " at CPU " << cpu;
      }
    }
  }
}

TEST(Spread, GoesOnWhereSmallNodesAreFull) {
  // The second node has two CPUs only, the third one none.
  const Topology topology = made_of("pack:1 numa:3 core:4 pu:1");
  EXPECT_THAT(spread(topology, {0, 1, 2, 3, 5, 6}), ElementsAre(0, 5, 1, 6, 2, 3));
}

TEST(Spread, TakesTheThreadsThatThereAre) {
  // Of the first core the second thread alone is allowed, of the second one both.
  EXPECT_THAT(spread(made_of("pack:1 core:4 pu:2"), {1, 2, 3, 7}), ElementsAre(1, 2, 7, 3));
}

TEST(Spread, TakesCpusOfWhichNothingIsKnownForCores) {
  EXPECT_THAT(spread(Topology{}, {3, 5, 9}), ElementsAre(3, 5, 9));
  EXPECT_THAT(spread(made_of("pack:1 core:1 pu:2"), {0, 1, 64, 65}), ElementsAre(0, 64, 65, 1));
}

TEST(SyntheticTopology, HasItsNodes) {
  EXPECT_EQ(made_of("pack:2 numa:2 core:2 pu:2").find(9)->node, 2u);
  EXPECT_EQ(made_of("pack:8 numa:2 core:8 pu:2").cpus.back(), (CpuPlace{.cpu = 255, .core = 127, .package = 7, .node = 15}));
}

TEST(Spread, IsQuickForAThousandCpus) {
  const Topology topology = made_of("pack:8 numa:2 core:32 pu:2");
  EXPECT_THAT(spread(topology, cpus_of(topology)), SizeIs(1024));
}

TEST(Placement, FloatsWhereTheCpusAreShared) {
  const Placement placement = place_workers(budget_of(two_packages(), cpus_of(two_packages())), {.topology = two_packages()});
  EXPECT_EQ(placement.workers, 8u) << "one for each core";
  EXPECT_EQ(placement.limit_source, "cores");
  EXPECT_THAT(placement.pins, IsEmpty());
  EXPECT_EQ(placement.cpu_of(0), std::nullopt);
  EXPECT_EQ(placement.node_of(0), std::nullopt);
}

TEST(Placement, PinsWhereTheCpusAreItsOwnToOneThreadOfEachCore) {
  const CpuBudget budget = budget_of(two_packages(), {4, 5, 6, 7, 12, 13, 14, 15});
  const Placement placement = place_workers(budget, {.topology = two_packages()});
  EXPECT_EQ(placement.workers, 4u);
  EXPECT_THAT(placement.pins, ElementsAre(4, 12, 6, 14, 5, 13, 7, 15));
  EXPECT_EQ(placement.cpu_of(1), 12);
  EXPECT_EQ(placement.node_of(0), 1u);
  EXPECT_EQ(placement.node_of(1), 3u);
  EXPECT_THAT(placement.node_workers, ElementsAre(0u, 2u, 0u, 2u));
}

TEST(Placement, UsesHyperthreadsWhenAsked) {
  const CpuBudget budget = budget_of(two_packages(), {4, 5, 6, 7}, true);
  const Placement placement = place_workers(budget, {.topology = two_packages()});
  EXPECT_EQ(placement.workers, 4u);
  EXPECT_EQ(placement.limit_source, "affinity");
  EXPECT_THAT(placement.pins, ElementsAre(4, 6, 5, 7));
}

// Another server may have the rest of the same CPUs, and would begin at the same one.
TEST(Placement, FloatsWhereItDoesNotFillItsCpus) {
  const CpuBudget budget = budget_of(two_packages(), {0, 1, 2, 3, 4, 5});
  EXPECT_THAT(place_workers(budget, {.workers = 2, .topology = two_packages()}).pins, IsEmpty());
  EXPECT_THAT(place_workers(budget, {.workers = 3, .topology = two_packages()}).pins, SizeIs(6));
  EXPECT_THAT(place_workers(budget, {.workers = 6, .topology = two_packages()}).pins, SizeIs(6));
  EXPECT_THAT(place_workers(budget, {.workers = 7, .topology = two_packages()}).pins, IsEmpty()) << "two on one CPU";
}

TEST(Placement, PinsOrDoesNotWhereItIsToldTo) {
  const CpuBudget all = budget_of(two_packages(), cpus_of(two_packages())), narrow = budget_of(two_packages(), {0, 2});
  EXPECT_THAT(place_workers(all, {.workers = 2, .pinning = Pinning::kAlways, .topology = two_packages()}).pins, SizeIs(16));
  EXPECT_THAT(place_workers(narrow, {.topology = two_packages()}).pins, ElementsAre(0, 2));
  EXPECT_THAT(place_workers(narrow, {.pinning = Pinning::kNever, .topology = two_packages()}).pins, IsEmpty());
  const Placement crowded = place_workers(narrow, {.workers = 5, .pinning = Pinning::kAlways, .topology = two_packages()});
  EXPECT_EQ(crowded.cpu_of(4), 0) << "in turn";
}

TEST(Placement, GivesWorkersThatSomebodyAskedForWhateverTheCpusAllow) {
  const Placement placement = place_workers(budget_of(two_packages(), {0}), {.workers = 12, .topology = two_packages()});
  EXPECT_EQ(placement.workers, 12u);
  EXPECT_EQ(placement.limit_source, "--workers");
}

TEST(Placement, HasNoMoreWorkersThanThereIsRoomFor) {
  EXPECT_EQ(place_workers(budget_of(two_packages(), cpus_of(two_packages())), {.most = 3, .topology = two_packages()}).workers, 3u);
}

TEST(Placement, TellsNoNodesWhereItDoesNotKnowThemAll) {
  const Placement placement = place_workers(budget_of(two_packages(), {0, 99}), {.topology = two_packages()});
  EXPECT_THAT(placement.pins, ElementsAre(0, 99));
  EXPECT_EQ(placement.node_of(0), std::nullopt);
}

TEST(SyntheticTopology, ThatMakesNoSenseIsRefused) {
  for (const char* description : {"", "pack", "pack:0", "pack:2 core:x", "core:2 pack:2 pu:", "nonsense:3"}) EXPECT_FALSE(synthetic_topology(description)) << description;
}

}  // namespace
}  // namespace parcompute::server
