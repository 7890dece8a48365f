// The command line: the table of commands, what is read from it, and how a slip is answered.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "client/cli/parse.h"
#include "common/base/suggestion.h"

namespace parcompute::cli {
namespace {

using ::testing::HasSubstr;

// As a shell would: what stands between single quotes belongs to one word.
std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words;
  bool is_quoted = false, is_in_word = false;
  for (const char c : line) {
    const bool ends = c == ' ' && !is_quoted;
    if (!ends && !is_in_word) words.emplace_back();
    is_in_word = !ends;
    if (c == '\'') is_quoted = !is_quoted;
    else if (!ends) words.back() += c;
  }
  return words;
}

Invocation invocation(const std::string& line) {
  auto parsed = parse(words_of(line));
  return std::get<Invocation>(std::move(parsed));
}

std::string shown(const std::string& line) {
  return std::get<Shown>(parse(words_of(line))).text;
}

std::string refusal(const std::string& line) {
  try {
    parse(words_of(line));
  } catch (const UsageError& error) {
    return error.what();
  }
  ADD_FAILURE() << line << " was accepted";
  return "";
}

// ---- the table

TEST(CliTable, EveryCommandHasASummaryAndExamplesThatParseToIt) {
  for (const Command& row : commands()) {
    EXPECT_FALSE(row.summary.empty()) << row.full_name();
    const std::vector<std::string> words = words_of(std::string(row.example));
    ASSERT_GT(words.size(), 1U) << row.full_name();
    EXPECT_EQ(words.front(), "parcompute-client") << row.full_name();
    auto parsed = parse({words.begin() + 1, words.end()});
    EXPECT_EQ(std::get<Invocation>(parsed).command, &row) << row.example;
  }
}

TEST(CliTable, EveryCommandsHelpShowsItsExampleAndTheGlobalFlags) {
  for (const Command& row : commands()) {
    const std::string help = shown(row.full_name() + " --help");
    EXPECT_THAT(help, HasSubstr(std::string(row.example))) << row.full_name();
    EXPECT_THAT(help, HasSubstr(std::string(row.summary))) << row.full_name();
    for (const char* flag : {"--socket", "--json", "--quiet", "--progress"})
      EXPECT_THAT(help, HasSubstr(flag));
    EXPECT_EQ(help, help_of(row));
  }
}

TEST(CliTable, NamesAreUniqueAndListedInTheOverview) {
  std::set<std::string> names;
  const std::string all = overview();
  for (const Command& row : commands()) {
    EXPECT_TRUE(names.insert(row.full_name()).second) << row.full_name();
    EXPECT_THAT(all, HasSubstr("  " + row.full_name() + " ")) << row.full_name();
  }
  for (const char* name :
       {"start",        "stop",         "status",       "cpus",       "with-server",    "array create",
        "array import", "array attach", "array export", "array list", "array info",     "array show",
        "array rm",     "array chmod",  "array image",  "run reduce",   "run matmul", "run mandelbrot", "run nop",
        "run expr",     "run dot",      "run vecdot",   "run outer",  "run random",     "run sort",
        "run argsort",  "run cumsum",   "run cumprod",  "run unique", "run searchsorted", "run take",
        "run compress", "run bincount", "run histogram", "run percentile", "run concatenate", "run stack",
        "job list",     "job show",     "job wait",     "job cancel"})
    EXPECT_TRUE(names.contains(name)) << name;
}

// ---- what is accepted

TEST(CliParse, GlobalFlagsMayStandAnywhere) {
  for (const char* line : {"--socket /s --json -q --progress never array list",
                           "array --socket=/s --json list -q --progress never",
                           "array list --socket /s --json --quiet --progress=never"}) {
    const Invocation parsed = invocation(line);
    EXPECT_EQ(parsed.command->full_name(), "array list") << line;
    EXPECT_EQ(parsed.flags.socket, "/s") << line;
    EXPECT_TRUE(parsed.flags.json) << line;
    EXPECT_TRUE(parsed.flags.quiet) << line;
    EXPECT_EQ(parsed.flags.progress, ProgressWhen::kNever) << line;
  }
}

TEST(CliParse, ArrayCommandsMayBeCalledWithoutTheirGroup) {
  EXPECT_EQ(invocation("list").command->full_name(), "array list");
  EXPECT_EQ(invocation("show a").command->full_name(), "array show");
  EXPECT_EQ(invocation("rm a b").command->full_name(), "array rm");
  EXPECT_EQ(invocation("image a a.png --cmap gray").command->full_name(), "array image");
}

TEST(CliParse, ModesAreWordsOrFilesModes) {
  for (const char* line : {"array chmod group-read a b", "chmod 660 a", "array create a --shape 3 --mode group-write", "array import a a.npy --mode 640",
                           "array arange a 0 3 --mode private", "array copy a b --mode 0640", "run sort a --out b --mode group-read"})
    invocation(line);
  EXPECT_THAT(refusal("array chmod g+r a"), HasSubstr("'g+r' is no mode of an array: private (600)"));
  EXPECT_THAT(refusal("array create a --shape 3 --mode 644"), HasSubstr("--mode: '644' is no mode"));
  EXPECT_THAT(refusal("array chmod group-read"), HasSubstr("NAME"));
  EXPECT_THAT(refusal("run sort a --mode group-read"), HasSubstr("--out"));
  EXPECT_THAT(refusal("array attach a a.npy --mode group-read"), HasSubstr("--mode"));
}

TEST(CliParse, NegativeNumbersAreValuesNotFlags) {
  invocation("run mandelbrot --size 8x8 --region -2,1,-1.5,1.5 --max-iter 10 --out m");
  invocation("run mandelbrot --size 8x8 --region -.5,.5,-1e-3,+1 --max-iter 10 --out m");
  invocation("array create a --shape 3 --fill -1");
  invocation("run sort a --axis -1");
  invocation("run reduce sum a --axis -1,-2");
  invocation("run random uniform --shape 3 --low -1 --high -.5");
  invocation("run histogram a --range -1,1");
  for (const char* line : {"array arange n -.5 .5 .25", "array linspace n -inf .5 3", "array linspace --no-endpoint n -1e-3 -.5j --dtype complex64", "array arange n -1+2j -nan",
                           "array arange n -5 -.5 -- 1"})
    EXPECT_EQ(invocation(line).command->group, "array") << line;
  EXPECT_TRUE(invocation("array arange n -.5 .5 --json").flags.json);
  EXPECT_THAT(refusal("array arange n -.5x 1"), HasSubstr("unknown flag '-.5x'"));
  EXPECT_THAT(refusal("array info -.5 -inf"), HasSubstr("'-inf' is one word too many"));
}

TEST(CliParse, AnExpressionMayBeginWithASign) {
  for (const char* line : {"run expr '-x'", "run expr '-x + 1' --out y", "run expr --out y '-sum(x)' x=a", "run expr '-(x + y)' x=a y=b --json",
                           "run expr -1", "run expr --json -- '-x'", "run expr -- '--x' x=a", "run expr -- -q", "run expr '-x' --out=y", "run expr '-x' -- x=a",
                           "run expr '-x==y'"})
    EXPECT_EQ(invocation(line).command->full_name(), "run expr") << line;
  EXPECT_TRUE(invocation("run expr '-x' --json -q").flags.json);
  EXPECT_THAT(refusal("run expr -o c 'a + 1'"), HasSubstr("'-o' is no flag, and if it is the expression, 'c' is one word too many"));
  EXPECT_THAT(refusal("run expr -o c 'a + 1'"), HasSubstr("may stand behind --: parcompute-client run expr -- '-o'"));
  EXPECT_THAT(refusal("run expr --otu c 'a + 1'"), HasSubstr("unknown flag '--otu'; did you mean '--out'?"));
  EXPECT_THAT(refusal("run expr --x"), HasSubstr("an expression that begins as a flag does stands behind --"));
  EXPECT_THAT(refusal("run expr -q"), HasSubstr("EXPRESSION is required; an expression that begins as a flag does stands behind --"));
  EXPECT_THAT(refusal("run expr 'a + 1' -o c"), HasSubstr("unknown flag '-o'"));
  EXPECT_THAT(refusal("run sort -x"), HasSubstr("unknown flag '-x'"));
}

TEST(CliParse, EmptyTextsAreRefusedByFlag) {
  for (const char* flag : {"--out", "--into"}) EXPECT_THAT(refusal(std::string("run sort a ") + flag + " ''"), HasSubstr(std::string(flag) + ": the text is empty"));
  EXPECT_THAT(refusal("run mandelbrot --size 8x8 --max-iter 9 --png ''"), HasSubstr("--png: the text is empty"));
  EXPECT_THAT(refusal("run sort ''"), HasSubstr("ARRAY: the text is empty"));
  EXPECT_THAT(refusal("run expr ''"), HasSubstr("EXPRESSION: the text is empty"));
  EXPECT_THAT(refusal("run concatenate a '' b"), HasSubstr("ARRAY: the text is empty"));
  EXPECT_THAT(refusal("run reduce sum a --axis ''"), HasSubstr("--axis: the text is empty"));
  EXPECT_THAT(refusal("rm a ''"), HasSubstr("NAME: the text is empty"));
  invocation("with-server -- program ''");
}

TEST(CliParse, EveryOperationWithAResultTakesBothPlacesForIt) {
  for (const Command& row : commands()) {
    if (row.group != "run" || row.name == "nop") continue;
    EXPECT_THAT(help_of(row), HasSubstr("--out NAME|FILE.npy")) << row.name;
    EXPECT_THAT(help_of(row), HasSubstr("--into ARRAY")) << row.name;
  }
}

TEST(CliParse, WhatFollowsTheDashesIsTheProgramsOwn) {
  EXPECT_EQ(invocation("with-server --workers 2 -- ls --json -l --help -- x").command->full_name(),
            "with-server");
  EXPECT_FALSE(invocation("with-server -- ls --json").flags.json);
  EXPECT_FALSE(asks_for_json(words_of("with-server -- ls --json")));
  EXPECT_TRUE(asks_for_json(words_of("array list --json")));
}

TEST(CliParse, HelpAndVersionNeedNothingElse) {
  EXPECT_EQ(shown("--help"), overview());
  EXPECT_EQ(shown("help"), overview());
  EXPECT_EQ(shown("help run matmul"), shown("run matmul --help"));
  EXPECT_EQ(shown("--help run matmul"), shown("run matmul --help"));
  EXPECT_THAT(shown("array --help"), HasSubstr("array create"));
  EXPECT_THAT(shown("--version"), ::testing::StartsWith("parcompute-client "));
}

// ---- what is refused

TEST(CliParse, UnknownCommandsNameTheNearest) {
  EXPECT_EQ(refusal("statsu"), "unknown command 'statsu'; did you mean 'status'?");
  EXPECT_EQ(refusal("array crate a"), "unknown array command 'crate'; did you mean 'create'?");
  EXPECT_EQ(refusal("run matmull a b"), "unknown operation 'matmull'; did you mean 'matmul'?");
  EXPECT_EQ(refusal("job frobnicate"),
            "unknown job command 'frobnicate'; there are list, show, explain, wait, cancel");
}

TEST(CliParse, WordsFromElsewhereLeadToTheirCommands) {
  EXPECT_EQ(refusal("run sum x"), "unknown operation 'sum'; did you mean 'run reduce sum'?");
  EXPECT_EQ(refusal("run min x"), "unknown operation 'min'; did you mean 'run reduce min'?");
  EXPECT_EQ(refusal("run add x y"), "unknown operation 'add'; 'add' is a function of expressions: run expr 'add(...)'");
  EXPECT_EQ(refusal("run median x"), "unknown operation 'median'; did you mean 'run percentile'?");
  EXPECT_EQ(refusal("run zeros x"), "unknown operation 'zeros'; did you mean 'array create'?");
  EXPECT_EQ(refusal("array ls"), "unknown array command 'ls'; did you mean 'array list'?");
  EXPECT_EQ(refusal("ls"), "unknown command 'ls'; did you mean 'array list'?");
  EXPECT_THAT(refusal("rename a b"), HasSubstr("'array copy' makes another"));
  EXPECT_THAT(refusal("run reduce median x"), HasSubstr("did you mean 'run percentile'?"));
}

TEST(CliTable, HelpOfExpressionsAndReductionsListsWhatTheyTake) {
  const std::string expr = help_of(*invocation("run expr 1").command), reduce = help_of(*invocation("run reduce sum a").command);
  for (const char* word : {" sqrt ", " where", " clip ", " nanargmax", " float32 ", " complex128", " pi ", " >> "}) EXPECT_THAT(expr, HasSubstr(word));
  EXPECT_THAT(expr, HasSubstr("EXPRESSIONS in man parcompute-client"));
  for (const char* word : {" sum ", " nanstd ", " count_nonzero"}) EXPECT_THAT(reduce, HasSubstr(word));
}

TEST(CliParse, UnknownFlagsNameTheNearest) {
  EXPECT_EQ(refusal("array create a --shpe 2x2"),
            "array create: unknown flag '--shpe'; did you mean '--shape'?; see parcompute-client array "
            "create --help");
  EXPECT_EQ(refusal("--jsn status"), "unknown flag '--jsn' before the command; did you mean '--json'?");
  EXPECT_THAT(refusal("run nop --blocks 3 --frobnicate=1"), HasSubstr("unknown flag '--frobnicate'"));
}

TEST(CliParse, WhatIsMissingOrTooMuchIsNamed) {
  EXPECT_THAT(refusal(""), HasSubstr("a command is missing"));
  EXPECT_THAT(refusal("array"), ::testing::StartsWith("array needs a command: create, import, attach, export, list, info, show, rm, accept, chmod, image"));
  EXPECT_THAT(refusal("array create a"), HasSubstr("--shape is required"));
  EXPECT_THAT(refusal("array info"), HasSubstr("ARRAY is required"));
  EXPECT_THAT(refusal("array info a b"), HasSubstr("'b' is one word too many"));
  EXPECT_THAT(refusal("run matmul a"), HasSubstr("B is required"));
  EXPECT_THAT(refusal("run expr"), HasSubstr("EXPRESSION is required"));
  EXPECT_THAT(refusal("run stack"), HasSubstr("ARRAY is required"));
  EXPECT_THAT(refusal("run random normal"), HasSubstr("--shape is required"));
  EXPECT_THAT(refusal("with-server"), HasSubstr("PROGRAM"));
  EXPECT_THAT(refusal("--socket"), HasSubstr("--socket needs a value"));
  EXPECT_THAT(refusal("status --socket"), HasSubstr("--socket"));
}

TEST(CliParse, ValuesThatMakeNoSenseAreRefusedByFlag) {
  EXPECT_THAT(refusal("array create a --shape 2y2"), HasSubstr("--shape: '2y2' is not a shape"));
  EXPECT_THAT(refusal("array create a --shape 2 --dtype float65"),
              HasSubstr("--dtype: 'float65' is no dtype"));
  EXPECT_THAT(refusal("array create a.npy --shape 2"), HasSubstr("would be taken for a file"));
  EXPECT_THAT(refusal("array create d/a --shape 2"), HasSubstr("would be taken for a file"));
  EXPECT_THAT(refusal("start --memory 8XB"), HasSubstr("--memory: '8XB' is not a size"));
  EXPECT_THAT(refusal("start --workers 0"), HasSubstr("--workers: '0' is not a whole number of at least 1"));
  EXPECT_THAT(refusal("start --workers -2"), HasSubstr("--workers"));
  EXPECT_THAT(refusal("start --workers 99999999999999999999"), HasSubstr("too large"));
  EXPECT_THAT(refusal("run nop --blocks 1 --chunk many"), HasSubstr("--chunk: 'many' is not a whole number"));
  EXPECT_THAT(refusal("run nop --blocks 1 --timeout 0"), HasSubstr("--timeout: '0' is no length of time"));
  EXPECT_THAT(refusal("run nop --blocks 1 --timeout nan"), HasSubstr("--timeout"));
  EXPECT_THAT(refusal("run nop --blocks 1 --timeout 1 --detach"), HasSubstr("excludes"));
  EXPECT_THAT(refusal("run reduce meen a"), HasSubstr("'meen' is none of"));
  EXPECT_THAT(refusal("run reduce meen a"), HasSubstr("did you mean 'mean'?"));
  EXPECT_THAT(refusal("run random gauss --shape 3"), HasSubstr("'gauss' is none of uniform, normal, exponential, integers"));
  EXPECT_THAT(refusal("run random normal --shape 3 --seed -1"), HasSubstr("--seed: '-1' is no whole number from 0"));
  EXPECT_THAT(refusal("run random normal --shape 3 --std x"), HasSubstr("--std: 'x'"));
  EXPECT_THAT(refusal("run expr a+1 --dtype float65"), HasSubstr("--dtype: 'float65' is no dtype"));
  EXPECT_THAT(refusal("run expr a+1 --out b --into c"), HasSubstr("excludes"));
  EXPECT_THAT(refusal("run sort a --axis one"), HasSubstr("--axis: 'one' is no whole number"));
  EXPECT_THAT(refusal("run sort a --axis 99999999999"), HasSubstr("--axis"));
  EXPECT_THAT(refusal("run sort a --axis 1 --flat"), HasSubstr("excludes"));
  EXPECT_THAT(refusal("status --progress sometimes"),
              HasSubstr("'sometimes' is none of auto, always, never"));
  EXPECT_THAT(refusal("array image a a.png --cmap hott"), HasSubstr("did you mean 'hot'?"));
  for (const char* region : {"1,2,3", "1,2,3,4,5", "1,2,3,x", "1,2,3,inf", ",,,"})
    EXPECT_THAT(refusal(std::string("run mandelbrot --size 8x8 --max-iter 9 --out m --region ") + region),
                HasSubstr("--region"));
  EXPECT_THAT(refusal("job show seven"), HasSubstr("ID: 'seven' is not a whole number"));
}

TEST(CliSuggestion, DistanceCountsEditsAndSwaps) {
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("matmul", "matmul"), 0U);
  EXPECT_EQ(edit_distance("statsu", "status"), 1U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

TEST(CliSuggestion, FarWordsAreNotSuggested) {
  const std::vector<std::string> known{"list", "show"};
  EXPECT_EQ(suggestion("frobnicate", known), "");
  EXPECT_EQ(suggestion("lst", known), "; did you mean 'list'?");
}

}  // namespace
}  // namespace parcompute::cli
