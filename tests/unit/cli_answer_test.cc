// What goes to standard output, and the exit status.
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <map>
#include <string>

#include "client/cli/describe.h"
#include "client/cli/exit_code.h"
#include "client/cli/operand.h"
#include "client/cli/run_answer.h"
#include "client/cli/text_width.h"

namespace parcompute::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// A code that is added has to be given its place here: error_code_name() knows how many there are.
TEST(CliExitCode, EveryErrorHasItsOwnNumber) {
  const std::map<ErrorCode, int> expected{
      {ErrorCode::kComputationFailed, 1}, {ErrorCode::kInvalidArgument, 65},
      {ErrorCode::kBadData, 65},          {ErrorCode::kNotFound, 66},
      {ErrorCode::kAlreadyExists, 73},    {ErrorCode::kNoServer, 69},
      {ErrorCode::kCannotCreate, 73},     {ErrorCode::kOverBudget, 75},
      {ErrorCode::kProtocolVersion, 76},  {ErrorCode::kNotPermitted, 77},
      {ErrorCode::kTimeout, 124},         {ErrorCode::kCancelled, 130},
      {ErrorCode::kUnsupported, 65},      {ErrorCode::kSystem, 71},
  };
  for (std::uint32_t number = 0; number < 100; ++number) {
    if (!is_known_error_code(number)) continue;
    const auto code = static_cast<ErrorCode>(number);
    ASSERT_TRUE(expected.contains(code)) << error_code_name(code) << " is missing from this table";
    EXPECT_EQ(exit_code(code), expected.at(code)) << error_code_name(code);
  }
  EXPECT_EQ(exit_code(static_cast<ErrorCode>(99)), 71);
}

template <class T>
Answer answer_with(T value) {
  JobResult result;
  result.scalar.emplace();
  result.scalar->dtype = dtype_of<T>();
  std::memcpy(result.scalar->bytes.data(), &value, sizeof value);
  return {.value = describe_result(result), .array = {}};
}

TEST(CliAnswer, AScalarIsAloneOnItsLine) {
  EXPECT_EQ(print_scalar(answer_with(0.1)), "0.1\n");
  EXPECT_EQ(print_scalar(answer_with(0.1F)), "0.1\n");
  EXPECT_EQ(print_scalar(answer_with(1e20)), "1e+20\n");
  EXPECT_EQ(print_scalar(answer_with(-0.0)), "-0.0\n");
  EXPECT_EQ(print_scalar(answer_with(std::nan(""))), "nan\n");
  EXPECT_EQ(print_scalar(answer_with(-HUGE_VALF)), "-inf\n");
  EXPECT_EQ(print_scalar(answer_with(std::uint64_t{18446744073709551615U})), "18446744073709551615\n");
  EXPECT_EQ(print_scalar(answer_with(std::int64_t{-5})), "-5\n");
}

TEST(CliAnswer, ARunsJsonHasItsFigures) {
  JobResult result;
  result.info.id = 7;
  result.info.state = JobState::kDone;
  result.info.operation = "nop";
  const Value value = describe_result(result);
  for (const char* key : {"job", "result", "seconds", "chunks", "bytes_read", "bytes_written"})
    EXPECT_TRUE(value.contains(key)) << key;
  EXPECT_EQ(value["job"], 7);
  EXPECT_TRUE(value["result"].is_null());
  EXPECT_EQ(print_scalar({.value = value, .array = {}}), "");
}

TEST(CliAnswer, NonFiniteScalarsAreJsonStrings) {
  EXPECT_EQ(answer_with(std::nan("")).value["result"].dump(), "\"nan\"");
  EXPECT_EQ(answer_with(0.1).value["result"].dump(), "0.1");
}

TEST(CliAnswer, FiguresAreInBaseUnits) {
  JobInfo job;
  job.seconds = 0.1832;
  job.chunks_done = 48;
  EXPECT_EQ(figures(job, 14.3e9, "FLOPS"), "0.183 s, 48 chunks, 78.1 GFLOPS");
  job.chunks_done = 1;
  job.retries = 2;
  EXPECT_EQ(figures(job, 0, ""), "0.183 s, 1 chunk, 2 chunks computed again because their worker died");
}

TEST(CliAnswer, StatusNamesWhatScriptsAskFor) {
  Status status;
  status.server_pid = 11;
  status.workers.push_back(
      {.id = 0, .pid = 13, .cpu = 2, .state = WorkerInfo::State::kBusy, .chunks_done = 5, .replaced = 0, .node = 1});
  status.workers.push_back(
      {.id = 1, .pid = 14, .cpu = {}, .state = WorkerInfo::State::kIdle, .chunks_done = 0, .replaced = 1, .node = {}, .parked = true});
  const Value value = describe(status);
  for (const char* key : {"server_pid", "forkserver_pid", "socket", "workers", "memory", "arrays", "jobs"})
    EXPECT_TRUE(value.contains(key)) << key;
  EXPECT_TRUE(value["memory"].contains("limit_bytes"));
  EXPECT_TRUE(value["memory"].contains("used_bytes"));
  EXPECT_EQ(value["workers"][0].dump(),
            R"({"id":0,"pid":13,"cpu":2,"state":"busy","chunks":5,"replaced":0,"node":1,"parked":false})");
  EXPECT_TRUE(value["workers"][1]["node"].is_null());
  EXPECT_EQ(value["workers"][1]["parked"], true);
  EXPECT_TRUE(value["workers"][1]["cpu"].is_null());
}

// What a person reads of a value.
std::string printed(std::string_view group, std::string_view name, Value value) {
  for (const Command& row : commands())
    if (row.group == group && row.name == name) return row.print({.value = std::move(value), .array = {}});
  ADD_FAILURE() << "no command " << group << " " << name;
  return {};
}

TEST(CliAnswer, StatusOfAForkserverThatIsBeingReplacedHasNoPid) {
  Status status;
  EXPECT_TRUE(describe(status)["forkserver_pid"].is_null());
  EXPECT_THAT(printed("", "status", describe(status)), HasSubstr("forkserver  being started\n"));
  status.forkserver_pid = 12;
  EXPECT_EQ(describe(status)["forkserver_pid"], 12);
  EXPECT_THAT(printed("", "status", describe(status)), HasSubstr("forkserver  pid 12\n"));
}

TEST(CliAnswer, StatusTellsHowManyWorkersAreGivenWorkAndWhy) {
  const auto pool = [](std::size_t workers, std::uint64_t limit, const char* source) {
    Status status;
    status.workers.resize(workers);
    for (std::size_t i = 0; i < workers; ++i) status.workers[i].parked = limit != 0 && i >= limit;
    status.worker_limit = limit;
    status.worker_limit_source = source;
    return printed("", "status", describe(status));
  };
  EXPECT_THAT(pool(4, 4, "affinity"), HasSubstr("\nworkers     4 (limit: affinity)\n"));
  EXPECT_THAT(pool(4, 4, "affinity"), Not(HasSubstr("parked")));
  EXPECT_THAT(pool(4, 2, "cgroup v2 cpu.max"), HasSubstr("\nworkers     2 of 4 (cgroup v2 cpu.max allows 2 CPUs)\n"));
  EXPECT_THAT(pool(4, 2, "cgroup v2 cpu.max"), HasSubstr("starting, parked"));
  EXPECT_THAT(pool(2, 1, "affinity"), HasSubstr("\nworkers     1 of 2 (affinity allows 1 CPU)\n"));
  EXPECT_THAT(pool(3, 0, ""), HasSubstr("\nworkers     3\n")) << "a server that is older than this";
}

TEST(CliAnswer, StatusHasARowForEachUserWhereThereAreSeveral) {
  constexpr std::uint32_t kNobodys = 4'000'000'000;
  Status status;
  status.users.push_back({.uid = kNobodys, .memory_bytes = 2048, .arrays = 3, .jobs = 1, .sessions = 2});
  EXPECT_THAT(printed("", "status", describe(status)), Not(HasSubstr("uid 4000000000")));
  status.users.push_back({.uid = 0, .memory_bytes = 0, .arrays = 0, .jobs = 0, .sessions = 1});
  EXPECT_EQ(describe(status)["users"][0].dump(), R"({"uid":4000000000,"memory_bytes":2048,"arrays":3,"jobs":1,"sessions":2})");
  EXPECT_THAT(printed("", "status", describe(status)),
              HasSubstr("user             memory  arrays  jobs  sessions\n"
                        "uid 4000000000  2.0 KiB       3     1         2\n"
                        "root                0 B       0     0         1\n"));
}

TEST(CliAnswer, AListOfJobsSaysWhose) {
  JobInfo job;
  job.id = 7;
  job.operation = "sort";
  job.owner_uid = 4'000'000'000;
  EXPECT_THAT(printed("job", "list", Value::array({describe(job)})), HasSubstr(" 7  uid 4000000000  queued"));
}

TEST(CliAnswer, AnArraysDescriptionIsWhole) {
  ArrayInfo array;
  array.name = "a";
  array.shape = {2, 3};
  array.strides = {24, 8};
  const Value value = describe(array);
  EXPECT_EQ(value["name"], "a");
  EXPECT_EQ(value["dtype"], "float64");
  EXPECT_EQ(value["shape"].dump(), "[2,3]");
  EXPECT_EQ(value["nbytes"], 48);
  EXPECT_TRUE(value["path"].is_null());
  EXPECT_EQ(array_label(array), "'a' (float64, 2x3)");
}

TEST(CliAnswer, ErrorsAreOneObject) {
  EXPECT_EQ(describe_error("not found", "there is no array 'x'", 66).dump(),
            R"({"error":{"code":"not found","message":"there is no array 'x'","exit_code":66}})");
}

TEST(CliAnswer, TablesLineUp) {
  EXPECT_EQ(table({{"name", "size"}, {"a", "17"}, {"äö", "5"}}, {1}), "name  size\na       17\näö       5\n");
  EXPECT_EQ(table({{"名前", "1"}, {"abcde", "2"}}), "名前   1\nabcde  2\n");
}

TEST(CliAnswer, WidthsAreATerminalsInAnyLocale) {
  EXPECT_EQ(columns_of(""), 0U);
  EXPECT_EQ(columns_of("abc"), 3U);
  EXPECT_EQ(columns_of("äö"), 2U);
  EXPECT_EQ(columns_of("a\u0308"), 1U);  // an accent that combines
  EXPECT_EQ(columns_of("計算"), 4U);
  EXPECT_EQ(columns_of("ｱ"), 1U);  // half a width
  EXPECT_EQ(columns_of("a\xff" "b"), 3U);
  EXPECT_EQ(columns_of("\xe8\xa8"), 2U);  // cut off
}

TEST(CliText, ALineDoesNothingToATerminal) {
  EXPECT_EQ(one_line("x * 2"), "x * 2");
  EXPECT_EQ(one_line("  x\n +\t\r\n y "), "x + y");
  EXPECT_EQ(one_line("a\x1b[2Jb\x07" "c\x7f"), "a?[2Jb?c?");
  EXPECT_EQ(one_line(std::string_view("a\0b", 3)), "a?b");
  EXPECT_EQ(one_line("\xc2\x9b" "31m"), "?31m");                // a control sequence in one letter
  EXPECT_EQ(one_line("a\xe2\x80\xae" "b\xe2\x81\xa6"), "a?b?");  // to the left from here
  EXPECT_EQ(one_line("\xff\xe8\xa8"), "???");
  EXPECT_EQ(one_line("計算 ä"), "計算 ä");
}

TEST(CliText, OfALongerTextLineEndsAndBlanksStay) {
  EXPECT_EQ(harmless("a  b\n\tc\n"), "a  b\n\tc\n");
  EXPECT_EQ(harmless("a  \x1b[2Jb\r\nc\x7f"), "a  ?[2Jb?\nc?");
  EXPECT_EQ(harmless("計算\xc2\x9b  ä\xe2\x80\xae\xff"), "計算?  ä??");
}

TEST(CliText, WhatIsTooWideIsClipped) {
  EXPECT_EQ(clipped("sum(x)", 6), "sum(x)");
  EXPECT_EQ(clipped("sum(x)y", 6), "sum...");
  EXPECT_EQ(clipped("計算計算", 8), "計算計算");
  EXPECT_EQ(clipped("計算計算x", 8), "計算...");
  EXPECT_EQ(clipped("abcd", 3), "...");
}

TEST(CliOperand, FilesEndInNpyOrHoldASlash) {
  EXPECT_TRUE(names_file("a.npy"));
  EXPECT_TRUE(names_file("./a"));
  EXPECT_TRUE(names_file("/data/a"));
  EXPECT_FALSE(names_file("a"));
  EXPECT_FALSE(names_file("a.npyx"));
}

}  // namespace
}  // namespace parcompute::cli
