#include "tests/fault/job_mix.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <numeric>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "tests/support/reference.h"

namespace parcompute::testing {
namespace {

struct Operands {
  explicit Operands(Session& session)
      : reals(session.find("mix-reals")),
        numbers(session.find("mix-numbers")),
        mask(session.find("mix-mask")),
        left(session.find("mix-left")),
        right(session.find("mix-right")),
        counts(session.find("mix-counts")) {}
  Array reals, numbers, mask, left, right, counts;
};

Evaluate expression(std::string text, std::vector<Evaluate::Operand> operands) {
  return Evaluate{std::move(text), std::move(operands), {}};
}

struct MixJob {
  std::string_view name;
  Operation (*make)(const Operands&);
  bool has_open_length = false;  // needs a new array
};

// clang-format off
const MixJob kJobs[] = {
    {"sum", [](const Operands& in) -> Operation { return Reduce{.a = in.reals}; }},
    {"sum of counts", [](const Operands& in) -> Operation { return Reduce{.a = in.counts}; }},
    {"variance along rows", [](const Operands& in) -> Operation { return Reduce{.op = Reduce::Op::kVar, .a = in.left, .axis = 0}; }},
    {"argmax", [](const Operands& in) -> Operation { return Reduce{.op = Reduce::Op::kArgmax, .a = in.reals}; }},
    {"sum of squares", [](const Operands& in) -> Operation { return expression("sum((f - mean(f))**2)", {{"f", in.reals}}); }},
    {"centred", [](const Operands& in) -> Operation { return expression("m - mean(m, axis=1, keepdims=True)", {{"m", in.left}}); }},
    {"functions", [](const Operands& in) -> Operation { return expression("sqrt(f * f + 1.0) * sin(f)", {{"f", in.reals}}); }},
    {"whole numbers", [](const Operands& in) -> Operation { return expression("(i * 3 + 1) % 17", {{"i", in.numbers}}); }},
    {"turned", [](const Operands& in) -> Operation { return expression("x + y", {{"x", in.left}, {"y", in.right.viewed(".T")}}); }},
    {"matmul", [](const Operands& in) -> Operation { return Matmul{in.left, in.right}; }},
    {"matmul of whole numbers",
     [](const Operands& in) -> Operation { return Matmul{in.numbers.viewed(".reshape(-1, 250)[:120]"), in.numbers.viewed(".reshape(250, -1)[:, :90]")}; }},
    {"sort", [](const Operands& in) -> Operation { return Sort{in.reals, {}}; }},
    {"sort along columns, descending", [](const Operands& in) -> Operation { return Sort{in.left, 0, true}; }},
    {"argsort", [](const Operands& in) -> Operation { return Argsort{in.numbers, {}}; }},
    {"cumsum", [](const Operands& in) -> Operation { return Cumsum{in.numbers, {}}; }},
    {"unique", [](const Operands& in) -> Operation { return Unique{in.numbers}; }, true},
    {"compress", [](const Operands& in) -> Operation { return Compress{in.reals, in.mask}; }, true},
    {"take", [](const Operands& in) -> Operation { return Take{in.reals, in.numbers.viewed("[:20000]"), {}}; }},
    {"percentile", [](const Operands& in) -> Operation { return Percentile{in.reals, {1, 50, 99.9}, {}}; }},
    {"bincount", [](const Operands& in) -> Operation { return Bincount{.a = in.numbers, .length = 5000, .weights = {}}; }},
    {"histogram",
     [](const Operands& in) -> Operation { return Histogram{.a = in.reals, .bins = 100, .low = -3, .high = 3, .edges = {}, .weights = {}}; }},
    {"concatenate", [](const Operands& in) -> Operation { return Concatenate{{in.left, in.right.viewed(".T")}, 1}; }},
    {"random",
     [](const Operands&) -> Operation { return Random{.distribution = Random::Distribution::kNormal, .shape = {300, 200}, .seed = 7, .least = {}, .most = {}}; }},
    {"mandelbrot", [](const Operands&) -> Operation { return Mandelbrot{.nx = 120, .ny = 200, .max_iter = 60}; }},
};
// clang-format on

JobMix::Answer answer_of(Array array) {
  const auto* bytes = reinterpret_cast<const char*>(std::as_const(array).data());
  return {true, array.dtype(), array.shape(), bytes == nullptr ? "" : std::string(bytes, array.info().nbytes())};
}

JobMix::Answer answer_of(const JobResult& result) {
  if (!result.scalar) return answer_of(result.output);
  const auto& bytes = result.scalar->bytes;
  return {
      false, result.scalar->dtype, {}, std::string(reinterpret_cast<const char*>(bytes.data()), itemsize(result.scalar->dtype))};
}

// What needs no oracle but the definition: the oracle's own operands put through the standard library.
void check_against_definitions(const Operands& in, const std::vector<JobMix::Answer>& answers) {
  const auto expect = [&](std::string_view job, const auto& elements) {
    const auto* found = std::ranges::find(kJobs, job, &MixJob::name);
    const auto bytes = std::as_bytes(std::span(elements));
    EXPECT_TRUE(answers.at(static_cast<std::size_t>(found - kJobs)).bytes ==
                std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()))
        << job;
  };
  Array counts = in.counts, numbers = in.numbers, reals = in.reals, mask = in.mask;
  const auto n = static_cast<std::int64_t>(counts.size());
  expect("sum of counts", std::vector{n * (n - 1) / 2});
  const auto view = numbers.view<const std::int64_t>();
  std::vector<std::int64_t> whole(view.begin(), view.end());
  std::vector<std::int64_t> sums(whole.size());
  std::partial_sum(whole.begin(), whole.end(), sums.begin());
  expect("cumsum", sums);
  std::vector<std::int64_t> affine = whole;
  for (auto& value : affine) value = (value * 3 + 1) % 17;
  expect("whole numbers", affine);
  std::ranges::sort(whole);
  whole.erase(std::unique(whole.begin(), whole.end()), whole.end());
  expect("unique", whole);
  const auto real = reals.view<const double>();
  std::vector<double> sorted(real.begin(), real.end()), chosen;
  const auto is_chosen = mask.view<const bool>();
  for (std::size_t i = 0; i < real.size(); ++i)
    if (is_chosen[i]) chosen.push_back(real[i]);
  std::ranges::sort(sorted);
  expect("sort", sorted);
  expect("compress", chosen);
  expect("mandelbrot", escape_counts({.nx = 120, .ny = 200, .max_iter = 60}));
}

}  // namespace

JobMix::JobMix() {
  ServerOptions options;
  options.workers = 1;
  const PrivateServer quiet(options);
  ConnectOptions connect;
  connect.socket = quiet.socket();
  connect.start_embedded = false;
  auto session = Session::connect(connect);
  make_operands(session);
  const Operands operands(session);
  for (const MixJob& job : kJobs) expected_.push_back(answer_of(session.submit(job.make(operands)).wait()));
  check_against_definitions(operands, expected_);
}

void JobMix::make_operands(Session& session) {
  const auto make = [&](const char* name, const Operation& operation) {
    SubmitOptions options;
    options.output = name;
    session.submit(operation, options).wait();
  };
  const auto normal = [](std::vector<std::int64_t> shape, std::uint64_t seed) {
    return Random{
        .distribution = Random::Distribution::kNormal, .shape = std::move(shape), .seed = seed, .least = {}, .most = {}};
  };
  make("mix-reals", normal({200'000}, 1));
  make("mix-left", normal({300, 180}, 2));
  make("mix-right", normal({180, 300}, 3));
  make("mix-numbers", Random{.distribution = Random::Distribution::kIntegers,
                             .dtype = DType::kInt64,
                             .shape = {100'000},
                             .seed = 4,
                             .least = scalar_of(std::int64_t{0}),
                             .most = scalar_of(std::int64_t{4999})});
  make("mix-mask", Evaluate{"f > 0.25", {{"f", session.find("mix-reals")}}, {}});
  session.create_arange("mix-counts", DType::kInt64, {700'000});
}

void JobMix::run_one(CampaignClient& client) const {
  Session& session = client.session();
  Dice& dice = client.dice();
  const std::size_t index = below(dice, size());
  const MixJob& job = kJobs[index];
  const Answer& expected = expected_[index];
  client.attempt(std::string(job.name), [&] {
    const Operands operands(session);
    SubmitOptions options;
    if (one_in(dice, 3)) options.chunk_blocks = 1 + below(dice, 4);
    if (one_in(dice, 4)) options.max_workers = 1 + static_cast<unsigned>(below(dice, 2));
    if (expected.is_array && one_in(dice, 4)) {
      options.output = client.new_name();
    } else if (expected.is_array && !job.has_open_length && one_in(dice, 3)) {
      options.into = session.create("", expected.dtype, expected.shape);
      std::memset(options.into.data(), 0x5a, options.into.info().nbytes());
    }
    Job submitted = session.submit(job.make(operands), options);
    const JobResult result = client.wait(submitted);
    if ((options.into ? answer_of(options.into) : answer_of(result)) != expected)
      client.wrong(fmt::format("the bits of '{}' are not the oracle's", job.name));
    if (!options.output.empty()) session.remove(options.output);
  });
}

void JobMix::run_all(Session& session) const {
  const Operands operands(session);
  for (std::size_t i = 0; i < size(); ++i)
    EXPECT_TRUE(answer_of(session.submit(kJobs[i].make(operands)).wait()) == expected_[i]) << kJobs[i].name;
}

}  // namespace parcompute::testing
