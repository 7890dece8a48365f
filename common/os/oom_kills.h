// How many processes of this one's control group the kernel has killed for memory, and which deaths that explains.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/os/file_reader.h"

namespace parcompute {

// Since the group began. Of version 2 memory.events has it, of version 1 memory.oom_control. A root group has neither: then of the whole
// machine, which /proc/vmstat has. Which file it is, is found once: it is read in the middle of other work.
class OomCounter {
 public:
  explicit OomCounter(FileReader read_file);
  // Nothing where nobody counts.
  std::optional<std::uint64_t> count() const;

 private:
  FileReader read_file_;
  std::string file_;  // empty: there is none
};

// Whose death a kill was that the kernel counted. It counts before the process ends, and the end is told later: so what is
// counted shortly before counts for it, and what was counted long before was another's.
class OomKills {
 public:
  // All that were counted so far were others'.
  void begin(std::optional<std::uint64_t> counted);
  // Those that were counted before the last second were others'.
  void on_second(std::optional<std::uint64_t> counted);
  // A process ended by SIGKILL. Each kill explains one death: several may end together.
  bool explain_one(std::optional<std::uint64_t> counted);

 private:
  std::optional<std::uint64_t> spoken_for_;     // of others, or of deaths that they explained
  std::optional<std::uint64_t> a_second_ago_;   // counted then
};

}  // namespace parcompute
