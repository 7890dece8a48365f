#include "client/c/operations.h"

#include <array>
#include <limits>
#include <string>

#include <fmt/format.h>

#include "common/base/suggestion.h"

namespace parcompute::c {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

template <class Row>
const Row& row_of(std::span<const Row> table, std::string_view word, std::string_view what) {
  std::vector<std::string> known;
  for (const Row& row : table) {
    if (row.word == word) return row;
    known.emplace_back(row.word);
  }
  throw Failure(ErrorCode::kInvalidArgument, fmt::format("'{}' is no {}{}", word, what, suggestion(word, known)));
}

std::uint64_t natural_or(Arguments& a, std::string_view name, std::int64_t otherwise) {
  return static_cast<std::uint64_t>(a.integer_or(name, otherwise, 0, kMost));
}

// Absent: the flat array.
Axis axis_of(Arguments& a) {
  const auto axis = a.integer_or_none("axis");
  if (!axis) return {};
  return static_cast<int>(a.integer_or("axis", 0, std::numeric_limits<int>::min(), std::numeric_limits<int>::max()));
}

bool is_set(Arguments& a, std::string_view name) {
  return a.integer_or(name, 0, 0, 1) == 1;
}

// ---- operations

Operation evaluate(Session& session, Arguments& a) {
  Evaluate wanted = session.evaluate(a.text("expression"), a.operands());
  wanted.dtype = a.dtype_or_none("dtype");
  return wanted;
}

template <class Product>
Operation product(Session&, Arguments& a) {
  return Product{a.array("a"), a.array("b")};
}

template <class Ordering>
Operation ordering(Session&, Arguments& a) {
  return Ordering{a.array("a"), axis_of(a), is_set(a, "descending")};
}

template <class Running>
Operation running(Session&, Arguments& a) {
  return Running{a.array("a"), axis_of(a)};
}

Operation histogram(Session&, Arguments& a) {
  Histogram wanted;
  wanted.a = a.array("a");
  wanted.edges = a.array_or_none("edges");
  wanted.weights = a.array_or_none("weights");
  wanted.bins = natural_or(a, "bins", 10);
  wanted.low = a.real_or("low", wanted.low);
  wanted.high = a.real_or("high", wanted.high);
  return wanted;
}

Operation random(Session&, Arguments& a) {
  struct Row {
    std::string_view word;
    Random::Distribution distribution;
  };
  static constexpr std::array kDistributions{Row{"uniform", Random::Distribution::kUniform}, Row{"normal", Random::Distribution::kNormal},
                                             Row{"exponential", Random::Distribution::kExponential}, Row{"integers", Random::Distribution::kIntegers}};
  Random wanted;
  wanted.distribution = row_of<Row>(kDistributions, a.text_or("distribution", "uniform"), "distribution").distribution;
  const bool is_whole = wanted.distribution == Random::Distribution::kIntegers;
  wanted.dtype = a.dtype_or_none("dtype").value_or(is_whole ? DType::kInt64 : DType::kFloat64);
  wanted.shape = a.integers("shape");
  if (const auto seed = a.number_or_none("seed")) {
    if (!seed->is_integer || seed->integer < 0) throw Failure(ErrorCode::kInvalidArgument, "random: 'seed': it takes a whole number from 0 to 2^64 - 1");
    wanted.seed = static_cast<std::uint64_t>(seed->integer);
  }
  if (is_whole) {
    wanted.least = scalar_of(a.number("least"), wanted.dtype, "the least");
    wanted.most = scalar_of(a.number("most"), wanted.dtype, "the most");
    return wanted;
  }
  wanted.low = a.real_or("low", wanted.low);
  wanted.high = a.real_or("high", wanted.high);
  wanted.mean = a.real_or("mean", wanted.mean);
  wanted.standard_deviation = a.real_or("standard_deviation", wanted.standard_deviation);
  wanted.scale = a.real_or("scale", wanted.scale);
  return wanted;
}

Operation mandelbrot(Session&, Arguments& a) {
  Mandelbrot wanted;
  wanted.nx = natural_or(a, "nx", 800);
  wanted.ny = natural_or(a, "ny", 800);
  wanted.x_min = a.real_or("x_min", wanted.x_min);
  wanted.x_max = a.real_or("x_max", wanted.x_max);
  wanted.y_min = a.real_or("y_min", wanted.y_min);
  wanted.y_max = a.real_or("y_max", wanted.y_max);
  wanted.max_iter = natural_or(a, "max_iter", 1000);
  return wanted;
}

Operation joined(Arguments& a, bool stack) {
  return Concatenate{a.arrays("arrays"), axis_of(a).value_or(0), stack};
}

struct OperationRow {
  std::string_view word;
  Operation (*build)(Session&, Arguments&);
};

constexpr std::array kOperations{
    OperationRow{"evaluate", evaluate},
    OperationRow{"matmul", product<Matmul>},
    OperationRow{"dot", product<Dot>},
    OperationRow{"vecdot", product<Vecdot>},
    OperationRow{"outer", product<Outer>},
    OperationRow{"sort", ordering<Sort>},
    OperationRow{"argsort", ordering<Argsort>},
    OperationRow{"unique", [](Session&, Arguments& a) -> Operation { return Unique{a.array("a")}; }},
    OperationRow{"searchsorted", [](Session&, Arguments& a) -> Operation { return Searchsorted{a.array("a"), a.array("v"), is_set(a, "right")}; }},
    OperationRow{"cumsum", running<Cumsum>},
    OperationRow{"cumprod", running<Cumprod>},
    OperationRow{"take", [](Session&, Arguments& a) -> Operation { return Take{a.array("a"), a.array("indices"), axis_of(a)}; }},
    OperationRow{"compress", [](Session&, Arguments& a) -> Operation { return Compress{a.array("a"), a.array("mask")}; }},
    OperationRow{"bincount", [](Session&, Arguments& a) -> Operation { return Bincount{a.array("a"), natural_or(a, "length", 0), a.array_or_none("weights")}; }},
    OperationRow{"histogram", histogram},
    OperationRow{"percentile", [](Session&, Arguments& a) -> Operation { return Percentile{a.array("a"), a.reals("q"), axis_of(a)}; }},
    OperationRow{"concatenate", [](Session&, Arguments& a) { return joined(a, false); }},
    OperationRow{"stack", [](Session&, Arguments& a) { return joined(a, true); }},
    OperationRow{"random", random},
    OperationRow{"mandelbrot", mandelbrot},
    OperationRow{"nop", [](Session&, Arguments& a) -> Operation { return Nop{natural_or(a, "blocks", 1)}; }},
};

// ---- arrays. A name is empty for an anonymous one.

Array arange(Session& session, Arguments& a, const std::string& name) {
  const DType dtype = a.dtype("dtype");
  if (auto shape = a.integers_or_none("shape")) return session.create_arange(name, dtype, *std::move(shape));
  Number zero, one;
  one.integer = 1;
  return session.create_arange(name, dtype, a.number_or_none("start").value_or(zero), a.number("stop"), a.number_or_none("step").value_or(one));
}

Array linspace(Session& session, Arguments& a, const std::string& name) {
  const Number start = a.number("start"), stop = a.number("stop");
  return session.create_linspace(name, a.dtype_or_none("dtype").value_or(DType::kFloat64), start, stop, natural_or(a, "count", 50), a.integer_or("endpoint", 1, 0, 1) == 1);
}

Array eye(Session& session, Arguments& a, const std::string& name) {
  const std::uint64_t rows = natural_or(a, "rows", 0);
  return session.create_eye(name, a.dtype_or_none("dtype").value_or(DType::kFloat64), rows, natural_or(a, "columns", static_cast<std::int64_t>(rows)), a.integer_or_none("diagonal").value_or(0));
}

struct MakeRow {
  std::string_view word;
  std::array<std::string_view, 6> takes;  // besides a name; known before anything is made
  Array (*make)(Session&, Arguments&, const std::string& name);
};

constexpr std::array kWays{
    MakeRow{"zeros", {"dtype", "shape"}, [](Session& session, Arguments& a, const std::string& name) { return session.create(name, a.dtype("dtype"), a.integers("shape")); }},
    MakeRow{"full", {"dtype", "shape", "value"},
            [](Session& session, Arguments& a, const std::string& name) {
              return session.create_full(name, scalar_of(a.number("value"), a.dtype("dtype"), "the value"), a.integers("shape"));
            }},
    MakeRow{"arange", {"dtype", "shape", "start", "stop", "step"}, arange},
    MakeRow{"linspace", {"dtype", "start", "stop", "count", "endpoint"}, linspace},
    MakeRow{"eye", {"dtype", "rows", "columns", "diagonal"}, eye},
    MakeRow{"import", {"file"}, [](Session& session, Arguments& a, const std::string& name) { return session.import_npy(name, a.text("file")); }},
    MakeRow{"attach", {"file", "writable"}, [](Session& session, Arguments& a, const std::string& name) { return session.attach_npy(name, a.text("file"), is_set(a, "writable")); }},
    MakeRow{"find", {}, [](Session& session, Arguments&, const std::string& name) { return session.find(name); }},
};

}  // namespace

Operation operation_of(std::string_view word, Session& session, Arguments& arguments) {
  return row_of<OperationRow>(kOperations, word, "operation").build(session, arguments);
}

SubmitOptions submit_options(Arguments& a) {
  SubmitOptions options;
  options.output = a.text_or("output", "");
  options.into = a.array_or_none("into");
  options.chunk_blocks = natural_or(a, "chunk_blocks", 0);
  options.max_workers = static_cast<unsigned>(a.integer_or("max_workers", 0, 0, std::numeric_limits<int>::max()));
  options.detach = is_set(a, "detach");
  options.priority = static_cast<int>(a.integer_or("priority", 0, -20, 19));
  options.background = is_set(a, "background");
  for (const std::int64_t job : a.integers_or_none("after").value_or(std::vector<std::int64_t>())) options.after.push_back(static_cast<std::uint64_t>(job));
  if (const auto limit = a.real_or_none("time_limit")) options.time_limit = std::chrono::duration<double>(*limit);
  return options;
}

Array make_array(std::string_view how, Session& session, Arguments& arguments) {
  const MakeRow& row = row_of<MakeRow>(kWays, how, "way to make an array");
  const std::string name = arguments.text_or("name", "");
  for (const std::string_view word : row.takes)
    if (!word.empty()) arguments.expect(word);
  arguments.finish();
  return row.make(session, arguments, name);
}

}  // namespace parcompute::c
