// The scheduler on nodes that are not at hand: the server's core, a virtual clock, 1 to 4,096 workers.
//
//   simulate --workers 256 --profile skewed
//   simulate --workers 2,64,1024 --profile all
//
// `makespan` is against the least that any schedule could take; `tail` the part of it from the first worker that has nothing left to the last
// that has; `CPU` is the core's real time on this machine for each chunk (the loop's own system calls are not in it); `loop` how busy the loop was, at
// --loop-us for each message; `shares` the largest user's part of the workers' time against an equal one, while all of them wanted more.
#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/simulator/node.h"

namespace {

using namespace parcompute;
using namespace parcompute::simulate;

struct Row {
  unsigned workers = 0;
  std::string_view profile;
  double makespan = 0, tail = 0, loop_busy = 0;
  std::uint64_t chunks = 0, packets = 0;
  double core_ns_per_chunk = 0;
  double share = 1;  // of the user who had most, against an equal one
};

Row row_of(const Profile& profile, const LoadOptions& load_options, const NodeOptions& node_options) {
  const Load load = profile.make(load_options);
  const Outcome outcome = run(load, node_options);
  Row row{load_options.workers, profile.name, outcome.makespan_ns / load.least_makespan_ns(), outcome.tail_ns / outcome.makespan_ns, outcome.loop_busy,
          outcome.chunks, outcome.packets, outcome.core_ns / static_cast<double>(outcome.chunks)};
  double sum = 0, most = 0;
  for (const auto& [uid, ns] : outcome.ns_while_all_wanted) {
    sum += ns;
    most = std::max(most, ns);
  }
  if (sum > 0) row.share = most / (sum / static_cast<double>(outcome.ns_while_all_wanted.size()));
  return row;
}

nlohmann::json json_of(const Row& row) {
  return {{"workers", row.workers},  {"profile", row.profile}, {"makespan", row.makespan},   {"tail", row.tail},
          {"chunks", row.chunks},    {"packets", row.packets}, {"core_ns_per_chunk", row.core_ns_per_chunk}, {"loop_busy", row.loop_busy}, {"largest_share", row.share}};
}

}  // namespace

int main(int argc, char** argv) {
  LoadOptions load;
  NodeOptions node;
  std::vector<unsigned> workers{256};
  std::string wanted = "all";
  double message_us = node.message_ns / 1e3, loop_us = node.loop_ns / 1e3;
  bool json = false;
  std::string names = "all";
  for (const Profile& profile : profiles()) names += fmt::format(", {}", profile.name);
  CLI::App app("Simulates parcompute's scheduler: the server's own core under a virtual clock.");
  app.add_option("--workers", workers, "how many, or a list: 2,64,1024")->delimiter(',')->check(CLI::Range(1, 4096));
  app.add_option("--profile", wanted, "what the work is like: " + names);
  app.add_option("--seconds", load.seconds, "of work for each worker")->check(CLI::Range(1e-6, 1e4));
  app.add_option("--blocks", load.blocks_per_worker, "for each worker")->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 24));
  app.add_option("--chunk", node.chunk_blocks, "blocks of a chunk (default: chosen by the core)");
  app.add_option("--estimate", node.estimate, "what plans say of their blocks' mean time, against the truth")->check(CLI::Range(1e-9, 1e9));
  app.add_option("--message-us", message_us, "from one process to another")->check(CLI::Range(0.0, 1e6));
  app.add_option("--loop-us", loop_us, "of the loop, for each message received or sent")->check(CLI::Range(0.0, 1e6));
  app.add_option("--seed", load.seed, "of profiles that are random");
  app.add_flag("--json", json, "one JSON value");
  CLI11_PARSE(app, argc, argv);
  node.message_ns = message_us * 1e3;
  node.loop_ns = loop_us * 1e3;

  std::vector<const Profile*> chosen;
  for (const Profile& profile : profiles())
    if (wanted == "all" || wanted == profile.name) chosen.push_back(&profile);
  if (chosen.empty()) {
    fmt::print(stderr, "simulate: there is no profile '{}'; there are {}\n", wanted, names);
    return 64;
  }
  auto rows = nlohmann::json::array();
  if (!json) fmt::print("{:>7}  {:12} {:>9} {:>7} {:>10} {:>9} {:>9} {:>6} {:>7}\n", "workers", "profile", "makespan", "tail", "chunks", "packets", "CPU/chunk", "loop", "shares");
  for (const unsigned count : workers) {
    for (const Profile* profile : chosen) {
      load.workers = count;
      const Row row = row_of(*profile, load, node);
      rows.push_back(json_of(row));
      if (json) continue;
      fmt::print("{:>7}  {:12} {:>8.4f}x {:>6.2f}% {:>10} {:>9} {:>6.0f} ns {:>5.1f}% {:>6.3f}x\n", row.workers, row.profile, row.makespan, 100 * row.tail, row.chunks, row.packets,
                 row.core_ns_per_chunk, 100 * row.loop_busy, row.share);
      std::fflush(stdout);
    }
  }
  if (json) fmt::print("{}\n", rows.dump(2));
  return 0;
}
