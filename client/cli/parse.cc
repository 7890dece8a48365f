#include "client/cli/parse.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "client/cli/flags.h"
#include "common/base/suggestion.h"
#include "client/cli/text.h"
#include "client/cli/value_text.h"
#include "common/expression/program.h"

namespace parcompute::cli {
namespace {

constexpr std::string_view kProgram = "parcompute-client";
constexpr std::array<std::string_view, 3> kProgressWords{"auto", "always", "never"};
constexpr std::array<std::string_view, 2> kGlobalWithValue{"--socket", "--progress"};
constexpr std::array<std::string_view, 3> kGlobalWithoutValue{"--json", "--quiet", "-q"};

bool among(std::span<const std::string_view> words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

void add_global_flags(CLI::App& app, GlobalFlags& flags) {
  const std::string group = "Global flags";
  app.add_option("--socket", flags.socket,
                 "the server's socket (default: $PARCOMPUTE_SOCKET, then the usual places)")
      ->check([](const std::string& path) { return path.empty() ? "the path is empty: is a variable not set?" : ""; })
      ->type_name("PATH")
      ->group(group);
  app.add_flag("--json", flags.json, "one JSON value on standard output")->group(group);
  app.add_flag("-q,--quiet", flags.quiet, "no messages but errors")->group(group);
  add_choice(
      app, "--progress", kProgressWords, "auto|always|never",
      [&flags](std::size_t i) { flags.progress = static_cast<ProgressWhen>(i); },
      "progress bar on standard error (default: auto, on a terminal after half a second)")
      ->group(group);
}

// An example's lines, indented.
std::string footer(const Command& command) {
  return fmt::format("Example:\n  {}\n", command.example);
}

// CLI11's App is neither copied nor moved.
void prepare(CLI::App& app, GlobalFlags& flags, const Command& command) {
  app.name(fmt::format("{} {}", kProgram, command.full_name()));
  app.get_formatter()->column_width(34);
  app.footer(footer(command));
  add_global_flags(app, flags);
}

// ---- finding the command

std::vector<std::string> names_in(std::string_view group) {
  std::vector<std::string> names;
  for (const Command& row : commands())
    if (row.group == group) names.emplace_back(row.name);
  return names;
}

// The groups, in the order of the table.
std::vector<std::string> groups() {
  std::vector<std::string> out;
  for (const Command& row : commands())
    if (!row.group.empty() && std::find(out.begin(), out.end(), row.group) == out.end())
      out.emplace_back(row.group);
  return out;
}

const Command* find(std::string_view group, std::string_view name) {
  for (const Command& row : commands())
    if (row.group == group && row.name == name) return &row;
  return nullptr;
}

// Takes the words one by one; puts the global flags it meets aside, for the command's own parser.
class CommandFinder {
 public:
  explicit CommandFinder(const std::vector<std::string>& words) : words_(words) {}

  // The next word of the command's name; empty at the end of the line.
  std::string next() {
    while (at_ < words_.size()) {
      const std::string& word = words_[at_++];
      if (!word.starts_with('-')) return word;
      set_aside(word);
    }
    return "";
  }
  bool wants_help() const { return help_; }
  bool wants_version() const { return version_; }

  // What the command's own parser gets.
  std::vector<std::string> rest() const {
    std::vector<std::string> out = globals_;
    if (help_) out.emplace_back("--help");
    out.insert(out.end(), words_.begin() + static_cast<std::ptrdiff_t>(at_), words_.end());
    return out;
  }

 private:
  void set_aside(const std::string& word) {
    const std::string_view name = std::string_view(word).substr(0, word.find('='));
    if (word == "--help" || word == "-h")
      help_ = true;
    else if (word == "--version")
      version_ = true;
    else if (among(kGlobalWithoutValue, word))
      globals_.push_back(word);
    else if (among(kGlobalWithValue, name)) {
      globals_.push_back(word);
      if (name.size() != word.size()) return;
      if (at_ == words_.size()) throw UsageError(fmt::format("{} needs a value", word));
      globals_.push_back(words_[at_++]);
    } else {
      static const std::vector<std::string> known{"--socket", "--progress", "--json",
                                                  "--quiet",  "--help",     "--version"};
      throw UsageError(fmt::format("unknown flag '{}' before the command{}", word, suggestion(word, known)));
    }
  }

  const std::vector<std::string>& words_;
  std::size_t at_ = 0;
  std::vector<std::string> globals_;
  bool help_ = false;
  bool version_ = false;
};

struct OtherWord {
  std::string_view word;
  std::string_view hint;
};
constexpr std::array<OtherWord, 12> kOtherWords{{
    {"ls", "did you mean 'array list'?"},
    {"dir", "did you mean 'array list'?"},
    {"del", "did you mean 'array rm'?"},
    {"delete", "did you mean 'array rm'?"},
    {"remove", "did you mean 'array rm'?"},
    {"cat", "did you mean 'array show'?"},
    {"print", "did you mean 'array show'?"},
    {"cp", "did you mean 'array copy'?"},
    {"load", "'array import' copies a file, 'array attach' uses it where it lies"},
    {"save", "did you mean 'array export'?"},
    {"mv", "an array keeps its name: 'array copy' makes another, 'array rm' removes the first"},
    {"rename", "an array keeps its name: 'array copy' makes another, 'array rm' removes the first"},
}};

// Of a word from another program, from the rest of NumPy, or out of its place.
std::string other_hint(const std::string& group, const std::string& word) {
  if (group.empty() || group == "array")
    for (const OtherWord& row : kOtherWords)
      if (row.word == word) return fmt::format("; {}", row.hint);
  if (!group.empty() && group != "run") return {};
  const auto has = [&](const std::vector<std::string>& names) { return std::find(names.begin(), names.end(), word) != names.end(); };
  if (has(reduction_names())) return fmt::format("; did you mean 'run reduce {}'?", word);
  if (has(function_names())) return fmt::format("; '{0}' is a function of expressions: run expr '{0}(...)'", word);
  return operation_instead(word);
}

[[noreturn]] void unknown_command(const std::string& group, const std::string& word) {
  std::vector<std::string> known = names_in(group);
  if (group.empty()) {
    const auto more = groups();
    known.insert(known.end(), more.begin(), more.end());
  }
  if (const auto operations = names_in("run"); group.empty() && std::find(operations.begin(), operations.end(), word) != operations.end())
    throw UsageError(fmt::format("'{0}' is an operation; did you mean 'run {0}'?", word));
  const std::string what = group == "run" ? "operation" : group.empty() ? "command" : group + " command";
  if (const std::string hint = other_hint(group, word); !hint.empty()) throw UsageError(fmt::format("unknown {} '{}'{}", what, word, hint));
  throw UsageError(fmt::format("unknown {} '{}'{}", what, word, suggestion(word, known)) +
                   (suggestion(word, known).empty() ? fmt::format("; there are {}", joined(known)) : ""));
}

// ---- parsing its flags

// CLI11 complains of what is missing before it complains of what is unknown; the unknown flag is more often
// the cause.
std::string unknown_word(const CLI::App& app) {
  std::vector<std::string> left = app.remaining();
  const auto dashes = std::find(left.begin(), left.end(), "--");
  const auto flag = std::find_if(left.begin(), dashes, [](const std::string& word) { return word.starts_with('-'); });
  if (flag != dashes) {
    std::vector<std::string> known;
    for (const CLI::Option* option : app.get_options())
      for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    const std::string name = flag->substr(0, flag->find('='));
    return fmt::format("unknown flag '{}'{}", name, suggestion(name, known));
  }
  if (dashes != left.end()) left.erase(dashes);  // what stands behind them is no flag
  return left.empty() ? "" : fmt::format("'{}' is one word too many", left.front());
}

// Whose words behind -- are a program's own.
constexpr std::string_view kProgramOption = "PROGRAM";
constexpr std::string_view kExpressionOption = "EXPRESSION";

const CLI::Option* option_of(const CLI::App& app, const std::string& word) {
  return word.starts_with('-') ? app.get_option_no_throw(word.substr(0, word.find('='))) : nullptr;
}

// "x=a", but not "x==a".
bool is_binding(std::string_view word) {
  const std::size_t equals = word.find('=');
  return equals != 0 && equals != std::string_view::npos && word.substr(equals + 1, 1) != "=";
}

struct SortedOut {
  std::vector<std::string> flags;  // and their values
  std::vector<std::string> others;
};
// `is_other` decides of words that begin with a sign, and are no flags by name: (word, nothing stands before it).
template <class IsOther>
SortedOut sorted_out(const CLI::App& app, const std::vector<std::string>& words, const IsOther& is_other) {
  SortedOut out;
  for (auto word = words.begin(); word != words.end(); ++word) {
    const CLI::Option* const flag = option_of(app, *word);
    if (*word == "--") {
      out.others.insert(out.others.end(), word + 1, words.end());
      break;
    }
    if (flag == nullptr && (!word->starts_with('-') || is_other(*word, out.others.empty()))) {
      out.others.push_back(*word);
      continue;
    }
    out.flags.push_back(*word);
    if (flag != nullptr && flag->get_items_expected_max() > 0 && word->find('=') == std::string::npos && word + 1 != words.end()) out.flags.push_back(*++word);
  }
  return out;
}

// -5, -.5, -1e-3, -inf, -.5j, -1+2j
bool is_negative_number(const std::string& word) {
  return word.starts_with('-') && parse_value(word, DType::kComplex128).has_value();
}

// Of negative numbers CLI11 knows those that begin with a digit. All of them stand behind -- for it.
std::vector<std::string> with_negative_numbers(const CLI::App& app, const std::vector<std::string>& words) {
  if (app.get_option_no_throw(std::string(kExpressionOption)) != nullptr || app.get_option_no_throw(std::string(kProgramOption)) != nullptr) return words;
  auto [flags, others] = sorted_out(app, words, [](const std::string& word, bool) { return is_negative_number(word); });
  if (std::none_of(others.begin(), others.end(), is_negative_number)) return words;
  flags.emplace_back("--");
  flags.insert(flags.end(), others.begin(), others.end());
  return flags;
}

// '-x' is an expression where one is expected, unless it is a flag: then it stands behind --, as does what begins with two
// signs, which is more often a flag with a slip in it. CLI11 gets it behind -- in any case.
std::vector<std::string> with_signed_expression(const Command& command, const CLI::App& app, const std::vector<std::string>& words) {
  if (app.get_option_no_throw(std::string(kExpressionOption)) == nullptr) return words;
  auto [flags, others] = sorted_out(app, words, [](const std::string& word, bool is_first) { return is_first && !word.starts_with("--"); });
  if (others.empty() || !others.front().starts_with('-')) return words;
  for (auto other = others.begin() + 1; other != others.end(); ++other)
    if (!is_binding(*other) && std::find(words.begin(), words.end(), "--") == words.end())
      throw UsageError(fmt::format("{}: '{}' is no flag, and if it is the expression, '{}' is one word too many; an expression that begins with a sign may stand behind --: "
                                   "{} {} -- '{}'",
                                   command.full_name(), others.front(), *other, kProgram, command.full_name(), others.front()));
  flags.emplace_back("--");
  flags.insert(flags.end(), others.begin(), others.end());
  return flags;
}

// What came as '' is more often a variable that is not set than meant.
void refuse_empty_texts(const Command& command, const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_name() == kProgramOption) continue;
    for (const std::string& text : option->results())
      if (text.empty()) throw UsageError(fmt::format("{}: {}: the text is empty: is a variable not set?", command.full_name(), option->get_name()));
  }
}

Handler parse_flags(const Command& command, GlobalFlags& flags, CLI::App& app,
                    std::vector<std::string> words) {
  prepare(app, flags, command);
  Handler handler = command.bind(app);
  words = with_negative_numbers(app, with_signed_expression(command, app, words));
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the back
  try {
    app.parse(words);
  } catch (const CLI::CallForHelp&) {
    throw;
  } catch (const CLI::ParseError& error) {
    std::string unknown = unknown_word(app);
    const CLI::Option* const expression = app.get_option_no_throw(std::string(kExpressionOption));
    if (expression != nullptr && expression->count() == 0)
      unknown = fmt::format("{}; an expression that begins as a flag does stands behind --", unknown.empty() ? error.what() : unknown);
    throw UsageError(fmt::format("{}: {}; see {} {} --help", command.full_name(),
                                 unknown.empty() ? error.what() : unknown, kProgram, command.full_name()));
  }
  refuse_empty_texts(command, app);
  return handler;
}

std::string group_overview(const std::string& group) {
  std::string text = fmt::format("Usage: {} {} COMMAND ...\n\n", kProgram, group);
  for (const Command& row : commands())
    if (row.group == group) text += fmt::format("  {}{}\n", flush_left(row.full_name(), 24), row.summary);
  return text +
         fmt::format("\n{} {} COMMAND --help shows a command's flags and an example.\n", kProgram, group);
}

}  // namespace

std::string overview() {
  std::string text = fmt::format(
      "Usage: {} [--socket PATH] [--json] [--quiet] [--progress WHEN] COMMAND ...\n\n"
      "Computes on arrays in shared memory, with every CPU this node allows.\n",
      kProgram);
  std::string_view group = "none yet";
  for (const Command& row : commands()) {
    if (row.group != group) text += "\n";
    group = row.group;
    text += fmt::format("  {}{}\n", flush_left(row.full_name(), 24), row.summary);
  }
  return text + fmt::format(
                    "\nGlobal flags, anywhere on the line:\n"
                    "  --socket PATH           the server's socket (default: $PARCOMPUTE_SOCKET, then the "
                    "usual places)\n"
                    "  --json                  one JSON value on standard output\n"
                    "  -q, --quiet             no messages but errors\n"
                    "  --progress WHEN         progress bar on standard error: auto, always or never\n"
                    "  --version\n"
                    "\nWherever an ARRAY is named, a file (anything that ends in .npy or holds a slash) is "
                    "attached for the job.\n"
                    "{} COMMAND --help shows a command's flags and an example.\n",
                    kProgram);
}

std::string help_of(const Command& command) {
  CLI::App app{std::string(command.summary)};
  GlobalFlags flags;
  prepare(app, flags, command);
  command.bind(app);
  return app.help();
}

bool asks_for_json(const std::vector<std::string>& words) {
  const auto end = std::find(words.begin(), words.end(), "--");
  return std::find(words.begin(), end, "--json") != end;
}

std::variant<Shown, Invocation> parse(const std::vector<std::string>& words) {
  if (!words.empty() && words.front() == "help") {
    std::vector<std::string> asked(words.begin() + 1, words.end());
    asked.emplace_back("--help");
    return parse(asked);
  }
  CommandFinder finder(words);
  const std::string first = finder.next();
  if (finder.wants_version()) {
    if (asks_for_json(words)) return Shown{Value{{"program", kProgram}, {"version", PARCOMPUTE_VERSION}}.dump() + "\n"};
    return Shown{fmt::format("{} {}\n", kProgram, PARCOMPUTE_VERSION)};
  }
  if (first.empty()) {
    if (finder.wants_help()) return Shown{overview()};
    throw UsageError(fmt::format("a command is missing; {} --help lists them", kProgram));
  }

  const Command* command = find("", first);
  const auto known_groups = groups();
  if (command == nullptr &&
      std::find(known_groups.begin(), known_groups.end(), first) != known_groups.end()) {
    const std::string second = finder.next();
    if (second.empty()) {
      if (finder.wants_help()) return Shown{group_overview(first)};
      throw UsageError(fmt::format("{} needs a command: {}", first, joined(names_in(first))));
    }
    command = find(first, second);
    if (command == nullptr) unknown_command(first, second);
  }
  // The array commands may be called without their group: list, info, show, rm, ...
  if (command == nullptr) command = find("array", first);
  if (command == nullptr) unknown_command("", first);

  Invocation invocation;
  invocation.command = command;
  CLI::App app{std::string(command->summary)};
  try {
    invocation.handler = parse_flags(*command, invocation.flags, app, finder.rest());
  } catch (const CLI::CallForHelp&) {
    return Shown{app.help()};
  }
  return invocation;
}

}  // namespace parcompute::cli
