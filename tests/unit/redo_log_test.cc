// RedoLog: a worker that dies in the middle of overwriting its operands, at any instruction.
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <numeric>

#include <gtest/gtest.h>

#include "tests/support/kernel_runner.h"
#include "tests/support/sanitized.h"
#include "worker/kernels/instruction_set.h"
#include "worker/kernels/redo_log.h"

namespace parcompute {
namespace {

using testing::Buffer;

class RedoLogTest : public ::testing::Test {
 protected:
  Buffer memory_{RedoLog::kHeaderBytes + 1024};
  RedoLog next_worker() { return RedoLog(std::span(memory_.data(), memory_.size())); }
};

TEST_F(RedoLogTest, KnowsAfterADeathHowFarTheChunkCame) {
  {
    RedoLog log = next_worker();
    ASSERT_TRUE(log.begin(7, 0));
    EXPECT_EQ(log.buffer().size(), 1024U);
    log.set_computed();
    log.set_published();
    log.set_computed();
  }
  RedoLog log = next_worker();
  ASSERT_TRUE(log.begin(7, 0));
  EXPECT_EQ(log.published(), 1U);
  EXPECT_EQ(log.computed(), 2U);
}

// It may have touched these, and nobody else may compute them again.
TEST_F(RedoLogTest, KnowsAfterADeathWhichBlocksWereBegun) {
  RedoLog log = next_worker();
  ASSERT_TRUE(log.begin(7, 3));
  EXPECT_EQ(log.begun(), 0U);
  log.set_begun(4);
  RedoLog next = next_worker();
  ASSERT_TRUE(next.begin(7, 3));
  EXPECT_EQ(next.begun(), 4U);
  next.set_begun(1);
  EXPECT_EQ(next.begun(), 4U) << "by a worker that dies in its first step";
  ASSERT_TRUE(next.begin(8, 9));
  EXPECT_EQ(next.begun(), 0U);
}

TEST_F(RedoLogTest, BeginsAChunkOfAHigherNumberAnew) {
  RedoLog log = next_worker();
  ASSERT_TRUE(log.begin(7, 0));
  log.set_computed();
  log.set_published();
  ASSERT_TRUE(log.begin(9, 0));
  EXPECT_EQ(log.computed(), 0U);
  EXPECT_EQ(log.published(), 0U);
}

TEST_F(RedoLogTest, TakesAChunkOfALowerNumberForDone) {
  RedoLog log = next_worker();
  ASSERT_TRUE(log.begin(7, 0));
  ASSERT_TRUE(log.begin(9, 0));
  log.set_computed();
  EXPECT_FALSE(next_worker().begin(7, 0));
  EXPECT_EQ(log.computed(), 1U) << "of the chunk after it";
}

// A worker computes its chunk in steps, and cuts it or dies; others go on, by steps of other lengths.
TEST(RedoLogSteps, LeaveEveryElementWrittenOnceWhoeverGoesOn) {
  constexpr std::int64_t kElements = 5 * 32768 + 100;
  const ArraySpec spec = *make_spec(DType::kInt64, {kElements});
  wire::Operation operation;
  operation.mutable_evaluate()->set_expression("a * 3 + 1");
  operation.mutable_evaluate()->add_names()->push_back('a');
  const std::vector<OperandInfo> operands{{spec, "a", 1}};
  const Plan plan = *plan_operation(operation, operands, &operands[0]);
  ASSERT_TRUE(plan.overwrites_operands);
  ASSERT_EQ(plan.phases.back().blocks, 6u);
  Buffer array(kElements * sizeof(std::int64_t));
  auto* elements = reinterpret_cast<std::int64_t*>(array.data());
  std::iota(elements, elements + kElements, 0);
  Buffer places[2]{Buffer(RedoLog::kHeaderBytes + 5000), Buffer(RedoLog::kHeaderBytes + 5000)};
  ScalarBytes value;
  // A worker of the place begins the chunk from block `first` on, and computes steps that end at these blocks.
  const auto work = [&](int place, std::uint64_t lease, std::uint64_t first, std::initializer_list<std::uint64_t> ends) {
    RedoLog log(std::span(places[place].data(), places[place].size()));
    const View view{spec, "a", array.data(), -1, 0};
    const auto kernel = make_kernel(KernelJob{operation, plan, {view}, {view}, {}, &log});
    ASSERT_TRUE(log.begin(lease, first));
    for (std::uint64_t begin = first; const std::uint64_t end : ends) {
      ASSERT_TRUE(kernel->run(plan.phases.size() - 1, {begin, end - begin}, value));
      begin = end;
    }
  };
  work(0, 1, 0, {1, 2});     // dies
  work(0, 1, 0, {3, 4});     // its successor cuts the chunk
  work(1, 2, 4, {5});        // another has the rest, and dies
  work(1, 2, 4, {6});        // its successor
  work(1, 2, 4, {5, 6});     // who died before it could say so
  for (std::int64_t i = 0; i < kElements; ++i) ASSERT_EQ(elements[i], 3 * i + 1) << i;
}

// ---- death at any instruction

// Memory that outlives the process which writes it.
class Shared {
 public:
  explicit Shared(std::size_t size) : size_(size), data_(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    EXPECT_NE(data_, MAP_FAILED);
  }
  ~Shared() { ::munmap(data_, size_); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  std::span<std::byte> bytes() { return {static_cast<std::byte*>(data_), size_}; }
  std::byte* data() { return static_cast<std::byte*>(data_); }

 private:
  std::size_t size_;
  void* data_;
};

class DeathAtAnyInstruction : public ::testing::Test {
 protected:
  static constexpr std::int64_t kElements = 300;  // three pieces
  static constexpr std::size_t kLogBytes = RedoLog::kHeaderBytes + 1024;

  DeathAtAnyInstruction() {
    operation_.mutable_evaluate()->set_expression("a * 3 + 1");
    operation_.mutable_evaluate()->add_names()->push_back('a');  // g++ 12 takes = "a" for an overlap
    const std::vector<OperandInfo> operands{{spec_, "a", 1}};
    plan_ = *plan_operation(operation_, operands, &operands[0]);
    EXPECT_TRUE(plan_.overwrites_operands);
  }

  std::int64_t* elements() { return reinterpret_cast<std::int64_t*>(array_.data()); }
  void reset() {
    std::iota(elements(), elements() + kElements, -100);
    std::memset(log_.data(), 0, kLogBytes);
  }
  enum class Role { kVictim, kSuccessor };
  // What a worker does with the chunk. A victim has computed such chunks before, and stops when it gets this one.
  void work(Role role) {
    RedoLog log(log_.bytes());
    const View view{spec_, "a", array_.data(), -1, 0};
    const auto kernel = make_kernel(KernelJob{operation_, plan_, {view}, {view}, {}, &log});
    const auto compute = [&](std::uint64_t lease) {
      ScalarBytes value;
      return !log.begin(lease, 0) || kernel->run(0, {0, 1}, value);
    };
    if (role == Role::kVictim) {
      EXPECT_TRUE(compute(11));
      std::iota(elements(), elements() + kElements, -100);
      ::raise(SIGSTOP);
    }
    EXPECT_TRUE(compute(12));
  }
  // A worker that is killed after `steps` instructions; how many it came to, at most those.
  long work_for(long steps) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
      work(Role::kVictim);
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    EXPECT_TRUE(WIFSTOPPED(status));
    long done = 0;
    for (; done < steps; ++done) {
      if (::ptrace(PTRACE_SINGLESTEP, pid, nullptr, nullptr) != 0) break;
      ::waitpid(pid, &status, 0);
      if (!WIFSTOPPED(status)) return done;
    }
    ::kill(pid, SIGKILL);
    ::waitpid(pid, &status, 0);
    return done;
  }

  ArraySpec spec_ = *make_spec(DType::kInt64, {kElements});
  wire::Operation operation_;
  Plan plan_;
  Shared array_{kElements * sizeof(std::int64_t)};
  Shared log_{kLogBytes};
};

TEST_F(DeathAtAnyInstruction, CountsEveryElementOnce) {
  if (testing::kSanitized) GTEST_SKIP() << "a sanitizer's instructions are too many to step through";
  constexpr long kAll = 1L << 40;
  reset();
  const long whole = work_for(kAll);
  ASSERT_GT(whole, 1000);
  // Odd steps meet other instructions of each loop every time round.
  const long step = std::max(1L, whole / 150) | 1;
  int in_the_middle = 0;
  for (long steps = 0; steps <= whole; steps += step) {
    reset();
    work_for(steps);
    const bool begun = elements()[0] != -100, ended = elements()[kElements - 1] == 3 * 199 + 1;
    in_the_middle += begun && !ended;
    work(Role::kSuccessor);
    for (std::int64_t i = 0; i < kElements; ++i) ASSERT_EQ(elements()[i], 3 * (i - 100) + 1) << "element " << i << ", killed after " << steps << " of " << whole;
  }
  EXPECT_GT(in_the_middle, 5);
}

}  // namespace
}  // namespace parcompute
