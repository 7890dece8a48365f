// A kill in every state of every lifecycle (server/core/lifecycle.h): each state is entered for certain, and held, by processes that
// are stopped; then one of four is killed. Chance has no part in it: that is the campaigns'.
#include "server/core/lifecycle.h"
#include "tests/fault/lifecycle_scenes.h"

namespace parcompute::testing {
namespace {

using L = LifecycleKills;
constexpr JobState kDone = JobState::kDone, kFailed = JobState::kFailed, kCancelled = JobState::kCancelled;
constexpr std::nullopt_t kNoJob = std::nullopt;
constexpr const char* kGone = "it has ended, or is known to be ending: that is what the state says";
constexpr const char* kNoneThere = "its end is why the workers leave; one worker's own end is told and settled in one turn of the loop";

// clang-format off
const Scene kScenes[] = {
    // state            prepare              act                      hold                  job         orphan      made      restarted  no client
    {"SessionNew",      &L::nothing,           &L::knock,               &L::is_known,         kNoJob,     kNoJob,     kAbsent,  kAbsent,   kAbsent},
    {"SessionGreeted",  &L::nothing,           &L::greet,               &L::is_known,         kNoJob,     kNoJob,     kAbsent,  kAbsent,   kAbsent},
    {"ArrayMaking",     &L::freeze,            &L::draw,                &L::is_being_made,    kDone,      kCancelled, kAfter,   kCut,      kAbsent},
    {"ArrayWhole",      &L::make,              &L::greet,               &L::is_known,         kNoJob,     kNoJob,     kBefore,  kBefore,   kBefore},
    {"ArrayIncomplete", &L::make_and_freeze,   &L::count_up_and_cancel, &L::is_cut,           kCancelled, kCancelled, kCut,     kCut,      kCut},
    {"MemoryUsed",      &L::nothing,           &L::greet,               &L::is_known,         kNoJob,     kNoJob,     kAbsent,  kAbsent,   kAbsent},
    {"MemorySpare",     &L::nothing,           &L::make_and_remove,     &L::is_spare,         kNoJob,     kNoJob,     kAbsent,  kAbsent,   kAbsent, nullptr, nullptr, 64 * kMebibyte},
    {"MemoryHeld",      &L::nothing,           &L::map_and_remove,      &L::is_held,          kNoJob,     kNoJob,     kAbsent,  kAbsent,   kAbsent},
    {"MemoryFreeing",   &L::make_and_use_and_freeze, &L::remove,        &L::is_freeing,       kNoJob,     kNoJob,     kAbsent,  kAbsent,   kAbsent},
    {"WorkerStarting",  &L::hold_back_workers, &L::draw,                &L::is_starting_only, kDone,      kCancelled, kAfter,   kCut | kAfter, kAbsent},
    {"WorkerIdle",      &L::nothing,           &L::greet,               &L::is_known,         kNoJob,     kNoJob,     kAbsent,  kAbsent,   kAbsent},
    {"WorkerBusy",      &L::make_and_freeze,   &L::count_up,            &L::is_being_made,    kDone,      kCancelled, kAfter,   kCut,      kCut | kBefore},
    {"WorkerLeaving",   &L::take_program_away, &L::draw,                &L::is_leaving,       kDone,      kCancelled, kAfter,   kCut,      kAbsent, kGone, kNoneThere},
    {"JobQueued",       &L::freeze,            &L::queue,               &L::is_queued,        kDone,      kCancelled, kAfter,   kCut,      kAbsent},
    {"JobRunning",      &L::freeze,            &L::double_given,        &L::is_running,       kDone,      kCancelled, kAfter,   kCut,      kAbsent},
    {"JobFailing",      &L::freeze_second,     &L::count_too_few_bins,  &L::is_failing,       kFailed,    kFailed,    kAbsent,  kCut,      kAbsent},
    {"JobCancelling",   &L::freeze,            &L::draw_and_cancel,     &L::is_cancelling,    kCancelled, kCancelled, kAbsent,  kCut,      kAbsent},
    {"JobDone",         &L::nothing,           &L::draw_to_the_end,     &L::has_ended,        kDone,      kDone,      kAfter,   kAfter,    kAfter},
    {"JobFailed",       &L::nothing,           &L::fail_to_the_end,     &L::has_ended,        kFailed,    kFailed,    kAbsent,  kAbsent,   kAbsent},
    {"JobCancelled",    &L::nothing,           &L::cancel_to_the_end,   &L::has_ended,        kCancelled, kCancelled, kAbsent,  kAbsent,   kAbsent},
};
// clang-format on

TEST(LifecycleKillsTable, HasEveryStateOfEveryLifecycle) {
  EXPECT_EQ(std::size(kScenes), server::kSessionLife.cells.size() + server::kArrayLife.cells.size() + server::kMemoryLife.cells.size() + server::kWorkerLife.cells.size() +
                                    server::kJobLife.cells.size());
}

std::vector<Cell> cells() {
  std::vector<Cell> all;
  for (const Scene& scene : kScenes)
    for (const Victim victim : {Victim::kWorker, Victim::kForkserver, Victim::kCoordinator, Victim::kClient})
      if (!(victim == Victim::kWorker && scene.no_worker) && !(victim == Victim::kForkserver && scene.no_forkserver)) all.push_back({&scene, victim});
  return all;
}

TEST_P(LifecycleKills, LoseWhatDiesAndNothingElse) {
  const auto& [scene, victim] = GetParam();
  ASSERT_NO_FATAL_FAILURE((this->*scene->prepare)());
  ASSERT_NO_FATAL_FAILURE(let_owner_act());
  ASSERT_NO_FATAL_FAILURE((this->*scene->hold)());
  ASSERT_NO_FATAL_FAILURE(strike());
  ASSERT_NO_FATAL_FAILURE(expect_mapped());

  if (victim == Victim::kCoordinator) return expect_next_server_finds(scene->made_after_restart);
  const auto& ends = victim == Victim::kClient ? scene->orphan : scene->job;
  auto session = connect();
  if (ends) {
    until([&] { return status().jobs_running + status().jobs_queued == 0; }, "the job has ended");
    expect_job(*ends, {});
    if (owner_.job) expect_told(*ends);
  }
  if (owner_.stranger) owner_.stranger->greet();
  EXPECT_EQ(session.status().server_pid, server_pid());
  // The owner's, where it lives, this one and the fixture's.
  const std::uint64_t expected = victim == Victim::kClient ? 2 : 3;
  until([&] { return session.status().sessions == expected; }, "the session of who died is over");
  expect_made(session, victim == Victim::kClient ? scene->made_without_client : scene->made);
  expect_rest(session);
}

INSTANTIATE_TEST_SUITE_P(InEveryState, LifecycleKills, ::testing::ValuesIn(cells()), [](const auto& cell) {
  return fmt::format("{}Killing{}", cell.param.scene->state, kVictims[static_cast<std::size_t>(cell.param.victim)]);
});

}  // namespace
}  // namespace parcompute::testing
