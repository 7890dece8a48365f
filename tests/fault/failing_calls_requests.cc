#include "tests/fault/failing_calls_requests.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>

#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

constexpr std::int64_t kLength = 131072;  // 1 MiB of float64: more than the server reserves by itself
constexpr std::int64_t kSide = 64;

void check(bool holds, const std::string& what) {
  if (!holds) throw WrongResult(what);
}

template <class T>
void check_elements(Array array, std::int64_t count, const std::function<T(std::int64_t)>& expected, const std::string& what) {
  const auto elements = array.view<const T>();  // no element allocates: it would be counted
  check(static_cast<std::int64_t>(elements.size()) == count, what + ": the result's length");
  for (std::int64_t i = 0; i < count; ++i)
    if (elements[static_cast<std::size_t>(i)] != expected(i)) throw WrongResult(what + ": element " + std::to_string(i));
}

SubmitOptions to(const std::string& name) {
  SubmitOptions options;
  options.output = name;
  return options;
}

void create(Session& session, const std::string& name, std::int64_t length) {
  const Array made = session.create(name, DType::kFloat64, {length});
  check_elements<double>(made, length, [](std::int64_t) { return 0.0; }, "zeros");
  session.remove(name);
}

void reduce(Session& session) {
  const double sum = session.submit(Reduce{.a = session.find(kBase)}).wait().scalar.value().as<double>();
  check(sum == static_cast<double>(kLength * (kLength - 1) / 2), "sum");
}

void evaluate_into_new(Session& session) {
  const auto result = session.submit(session.evaluate("base * 2 + 1"), to("made")).wait();
  check_elements<double>(result.output, kLength, [](std::int64_t i) { return static_cast<double>(2 * i + 1); }, "base * 2 + 1");
  session.remove("made");
}

void evaluate_in_place(Session& session) {
  const Array made = session.create_arange("made", DType::kFloat64, {kLength});
  SubmitOptions options;
  options.into = made;
  session.submit(session.evaluate("made + 1"), options).wait();
  check_elements<double>(made, kLength, [](std::int64_t i) { return static_cast<double>(i + 1); }, "made + 1");
  session.remove("made");
}

void multiply(Session& session) {
  const Array square = session.find(kSquare);
  const auto product = session.submit(Matmul{square, square}, to("made")).wait();
  const auto expected = [](std::int64_t i) {
    double sum = 0;
    for (std::int64_t k = 0; k < kSide; ++k) sum += static_cast<double>((i / kSide * kSide + k) * (k * kSide + i % kSide));
    return sum;
  };
  check_elements<double>(product.output, kSide * kSide, expected, "product");
  session.remove("made");
}

void find_distinct(Session& session) {
  const auto distinct = session.submit(Unique{session.find(kSteps)}, to("made")).wait();
  check_elements<std::int64_t>(distinct.output, 1000, [](std::int64_t i) { return i; }, "distinct elements");
  session.remove("made");
}

void wait_for_detached(Session& session) {
  SubmitOptions options = to("made");
  options.detach = true;
  const auto id = session.submit(session.evaluate("base - 1"), options).id();
  session.find_job(id).wait();
  check_elements<double>(session.find("made"), kLength, [](std::int64_t i) { return static_cast<double>(i - 1); }, "base - 1");
  session.remove("made");
}

void cancel(Session& session) {
  Job job = session.submit(endless(), one_by_one());
  job.cancel();
  try {
    job.wait();
  } catch (const Failure& failure) {
    if (failure.code() != ErrorCode::kCancelled) throw;
    return;
  }
  throw WrongResult("a job that never ends was not cancelled");
}

void list(Session& session) {
  const auto arrays = session.list();
  const auto is_base = [](const ArrayInfo& array) { return array.name == kBase; };
  check(std::ranges::count_if(arrays, is_base) == 1, "the list of arrays");
  session.jobs();
  check(session.status().arrays >= 3, "the status");
}

void view(Session& session) {
  const Array rows = session.find(kSquare).viewed("[3]");
  const double sum = session.submit(Reduce{.a = rows}).wait().scalar.value().as<double>();
  check(sum == static_cast<double>(kSide * (6 * kSide + kSide - 1) / 2), "a view's sum");
  check_elements<double>(session.find(kSquare), kSide * kSide, [](std::int64_t i) { return static_cast<double>(i); }, "elements here");
}

std::string bytes_of_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

constexpr const char* kExported = "exported.npy";

void look_at_exported(bool has_thrown, const std::filesystem::path& directory) {
  const auto path = directory / kExported;
  const bool is_there = std::filesystem::exists(path);
  const bool is_whole = is_there && bytes_of_file(path) == bytes_of_file(directory / "base.npy");
  std::filesystem::remove(path);
  const auto is_temporary = [](const auto& entry) { return entry.path().filename().native().starts_with("."); };
  check(std::ranges::none_of(std::filesystem::directory_iterator(directory), is_temporary), "an export left a temporary file");
  check(has_thrown ? !is_there || is_whole : is_whole, "the exported file");
}

}  // namespace

void make_operands(Session& session, const std::filesystem::path& directory) {
  session.create_arange(kBase, DType::kFloat64, {kLength});
  session.create_arange(kSquare, DType::kFloat64, {kSide, kSide});
  session.create_arange(kSteps, DType::kInt64, {kLength});
  SubmitOptions options;
  options.into = session.find(kSteps);
  session.submit(session.evaluate("steps % 1000"), options).wait();
  session.export_npy(session.find(kBase), directory / "base.npy");
}

std::vector<FaultyRequest> faulty_requests(const std::filesystem::path& directory) {
  const auto file = directory / "base.npy";
  return {
      {"create a small array", [](Session& session) { create(session, "made", 100); }},
      {"create an array", [](Session& session) { create(session, "made", kLength); }},
      {"create an anonymous array", [](Session& session) { check(session.create("", DType::kFloat64, {kLength}).size() == kLength, "its size"); }},
      {"import a file",
       [file](Session& session) {
         const Array made = session.import_npy("made", file);
         check_elements<double>(made, kLength, [](std::int64_t i) { return static_cast<double>(i); }, "imported");
         session.remove("made");
       }},
      {"attach a file",
       [file](Session& session) {
         Array made = session.attach_npy("made", file);
         check(made.view<const double>()[5] == 5, "attached");
         const double sum = session.submit(Reduce{.a = made}).wait().scalar.value().as<double>();
         check(sum == static_cast<double>(kLength * (kLength - 1) / 2), "sum of a file");
         session.remove("made");
       }},
      {"list", list},
      {"view", view},
      {"reduce", reduce},
      {"expression", evaluate_into_new},
      {"expression in place", evaluate_in_place},
      {"product", multiply},
      {"unique", find_distinct},
      {"wait", wait_for_detached},
      {"cancel", cancel},
      {"export", [directory](Session& session) { session.export_npy(session.find(kBase), directory / kExported); },
       [directory](bool has_thrown) { look_at_exported(has_thrown, directory); }},
  };
}

}  // namespace parcompute::testing
