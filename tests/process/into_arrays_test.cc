// Results that go into arrays that exist: views of all kinds, files, overlaps, workers that die, many clients.
#include <algorithm>
#include <random>

#include <fmt/format.h>

#include "tests/support/reference.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

SubmitOptions into(const Array& array, std::uint64_t chunk = 0) {
  SubmitOptions options;
  options.into = array;
  options.chunk_blocks = chunk;
  return options;
}

class IntoArrays : public ServerTest {
 protected:
  void open(unsigned workers = 3) {
    start(workers);
    session_.emplace(connect());
  }
  void TearDown() override {
    session_.reset();
    ServerTest::TearDown();
  }
  // Returns when the job has so many blocks behind it, or has ended. Asks at once again: what follows shall meet it at work.
  static void after_some_blocks(Job& job, std::uint64_t blocks) {
    JobInfo info = job.info();
    while (info.blocks_done < blocks && (info.state == JobState::kQueued || info.state == JobState::kRunning)) info = job.info();
  }

  void evaluate(const std::string& expression, const Array& output, std::vector<Evaluate::Operand> operands = {}, std::uint64_t chunk = 0) {
    session_->submit(session_->evaluate(expression, std::move(operands)), into(output, chunk)).wait();
  }
  template <class T>
  static std::vector<T> copy(Array array) {
    const auto view = array.view<const T>();
    return {view.begin(), view.end()};
  }

  std::optional<Session> session_;
};

TEST_F(IntoArrays, AnArrayMayBeReadAndWrittenByOneJob) {
  open();
  auto a = session_->create_arange("a", DType::kFloat64, {100'000});
  for (int round = 0; round < 5; ++round) evaluate("a + 1.0", a);
  const auto values = copy<double>(a);
  for (std::size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], static_cast<double>(i) + 5);
}

TEST_F(IntoArrays, OverlappingViewsGiveWhatACopyWouldHaveGiven) {
  open();
  constexpr std::size_t kSize = 300'001;
  auto a = session_->create_arange("a", DType::kFloat64, {kSize});
  const auto check = [&](const char* to, const char* from, auto expected) {
    std::vector<double> before = copy<double>(a);
    evaluate("x * 2.0 + 1.0", a.viewed(to), {{"x", a.viewed(from)}}, 1);
    expected(before);
    ASSERT_TRUE(copy<double>(a) == before) << to << " of " << from;
  };
  check("[1:]", "[:-1]", [](std::vector<double>& v) {
    for (std::size_t i = v.size() - 1; i > 0; --i) v[i] = v[i - 1] * 2 + 1;
  });
  check("[:-1]", "[1:]", [](std::vector<double>& v) {
    for (std::size_t i = 0; i + 1 < v.size(); ++i) v[i] = v[i + 1] * 2 + 1;
  });
  check("", "[::-1]", [](std::vector<double>& v) {
    std::ranges::reverse(v);
    for (double& value : v) value = value * 2 + 1;
  });
  check("[::2]", "[:150001]", [](std::vector<double>& v) {
    const auto before = v;
    for (std::size_t i = 0; i <= 150'000; ++i) v[2 * i] = before[i] * 2 + 1;
  });
}

TEST_F(IntoArrays, TransposedAndSteppedViewsTakeTheirElementsAndNoOthers) {
  open();
  auto a = session_->create_full("a", scalar_of(-1.0), {200, 300});
  auto b = session_->create_arange("b", DType::kFloat64, {100, 60});
  evaluate("b", a.viewed("[10:130:2, 299:199:-1].T"), {{"b", b}});
  const auto values = copy<double>(a);
  std::vector<double> expected(200 * 300, -1);
  for (std::size_t i = 0; i < 60; ++i)
    for (std::size_t j = 0; j < 100; ++j) expected[(10 + 2 * i) * 300 + 299 - j] = static_cast<double>(j * 60 + i);
  EXPECT_TRUE(values == expected);
  auto square = session_->create_arange("square", DType::kInt64, {400, 400});
  evaluate("square.T", square);
  const auto turned = copy<std::int64_t>(square);
  for (std::size_t i = 0; i < 400; ++i)
    for (std::size_t j = 0; j < 400; ++j) ASSERT_EQ(turned[i * 400 + j], static_cast<std::int64_t>(j * 400 + i));
}

TEST_F(IntoArrays, DTypesAreCastWithinTheirKindAndShapesStretch) {
  open();
  auto narrow = session_->create_arange("narrow", DType::kFloat32, {1000});
  auto wide = session_->create("wide", DType::kFloat64, {1000});
  auto whole = session_->create_arange("whole", DType::kInt64, {1000});
  evaluate("narrow + float32(0.5)", wide, {{"narrow", narrow}});
  EXPECT_EQ(copy<double>(wide)[999], 999.5);
  evaluate("wide * 2.0", narrow, {{"wide", wide}});
  EXPECT_EQ(copy<float>(narrow)[999], 1999.0F);
  evaluate("whole", wide, {{"whole", whole}});
  EXPECT_EQ(copy<double>(wide)[999], 999.0);
  expect_failure([&] { evaluate("narrow", whole, {{"narrow", narrow}}); }, ErrorCode::kInvalidArgument, {"float32", "int64", "cast"});
  for (const char* view : {"[:999]", "[:1]"})
    expect_failure([&] { evaluate("wide", narrow.viewed(view), {{"wide", wide}}); }, ErrorCode::kInvalidArgument, {"does not stretch"});
  // Nothing of it changed anything.
  EXPECT_EQ(copy<float>(narrow)[999], 1999.0F);
  EXPECT_FALSE(session_->find("narrow").info().incomplete);

  auto row = session_->create_arange("row", DType::kFloat64, {5});
  auto table = session_->create("table", DType::kFloat64, {20000, 5});
  evaluate("row + 1", table.viewed("[::2]"), {{"row", row}});
  evaluate("-1", table.viewed("[1::2, 1:4]"));
  const auto elements = copy<double>(table);
  for (std::size_t i = 0; i < 20000; ++i)
    for (std::size_t j = 0; j < 5; ++j) ASSERT_EQ(elements[i * 5 + j], i % 2 == 0 ? static_cast<double>(j + 1) : j >= 1 && j < 4 ? -1 : 0) << i << ", " << j;
}

TEST_F(IntoArrays, EveryOperationMayWriteIntoAView) {
  open();
  auto a = session_->create_arange("a", DType::kFloat64, {40, 50});
  auto b = session_->create_arange("b", DType::kFloat64, {50, 40});
  auto c = session_->create("c", DType::kFloat64, {80, 40});
  session_->submit(Matmul{a, b}, into(c.viewed("[::2]"))).wait();
  const auto expected = product<double>(a.view<const double>(), b.view<const double>(), 40, 50, 40);
  const auto values = copy<double>(c);
  for (std::size_t i = 0; i < 40; ++i)
    for (std::size_t j = 0; j < 40; ++j) {
      ASSERT_EQ(values[2 * i * 40 + j], expected[i * 40 + j]);
      ASSERT_EQ(values[(2 * i + 1) * 40 + j], 0);
    }
  session_->submit(Sort{a, 0, true}, into(a)).wait();
  EXPECT_EQ(copy<double>(a).front(), 1950);
  session_->submit(Cumsum{a.viewed("[0]"), {}}, into(a.viewed("[1]"))).wait();
  EXPECT_EQ(copy<double>(a)[51], 1950 + 1951);
  expect_failure([&] { session_->submit(Unique{a.viewed("[0]")}, into(a.viewed("[1]"))).wait(); }, ErrorCode::kInvalidArgument, {"new array"});
}

TEST_F(IntoArrays, AWritableFileIsWrittenAndAReadOnlyOneIsNot) {
  open();
  const auto path = directory() / "file.npy";
  {
    auto a = session_->create_arange("a", DType::kFloat64, {50'000});
    session_->export_npy(a, path);
    auto fixed = session_->attach_npy("fixed", path);
    expect_failure([&] { evaluate("1.0 + fixed", fixed, {{"fixed", fixed}}); }, ErrorCode::kNotPermitted, {"'fixed' is read-only"});
    session_->remove("fixed");
    auto file = session_->attach_npy("file", path, true);
    evaluate("file + 1.0", file, {{"file", file}});
    evaluate("a[::-1]", file.viewed("[:]"), {{"a", a}});
  }
  session_->remove("file");
  auto back = session_->import_npy("back", path);
  const auto values = copy<double>(back);
  for (std::size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], static_cast<double>(49'999 - i));
}

// ---- deaths

TEST_F(IntoArrays, KilledWorkersWriteEveryElementExactlyOnce) {
  open(3);
  constexpr std::int64_t kSize = 1'000'000;
  auto a = session_->create_arange("a", DType::kInt64, {kSize});
  std::mt19937 random(7);
  constexpr int kRounds = 60;
  int round = 0;
  // A pid may be that of one that is gone, or not there yet: on a busy machine it takes more rounds until as many were hit.
  for (; round < kRounds || replaced() <= kRounds / 2u; ++round) {
    auto job = session_->submit(session_->evaluate("a + 1"), into(a, 1));
    after_some_blocks(job, random() % 60);
    kill_worker(random() % 3);
    ASSERT_NO_THROW(job.wait()) << round;
  }
  pool_is_whole();
  const auto values = copy<std::int64_t>(a);
  for (std::size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], static_cast<std::int64_t>(i) + round) << i;
}

TEST_F(IntoArrays, KilledWorkersDoNoHarmToOverlappingViews) {
  open(2);
  constexpr std::size_t kSize = 400'001;
  auto a = session_->create_arange("a", DType::kInt64, {kSize});
  std::vector<std::int64_t> expected = copy<std::int64_t>(a);
  std::mt19937 random(11);
  for (int round = 0; round < 30; ++round) {
    auto job = session_->submit(session_->evaluate("x + y", {{"x", a.viewed("[:-1]")}, {"y", a.viewed("[:0:-1]")}}), into(a.viewed("[1:]"), 1));
    after_some_blocks(job, random() % 24);
    kill_worker(random() % 2);
    ASSERT_NO_THROW(job.wait()) << round;
    const auto before = expected;
    for (std::size_t i = 1; i < kSize; ++i)
      expected[i] = static_cast<std::int64_t>(static_cast<std::uint64_t>(before[i - 1]) + static_cast<std::uint64_t>(before[kSize - i]));
  }
  EXPECT_TRUE(copy<std::int64_t>(a) == expected);
  pool_is_whole();
}

TEST_F(IntoArrays, AServerThatIsKilledLeavesWhatWasBeingWrittenIncompleteAndTheRestWhole) {
  start_lasting(2);
  {
    auto session = connect();
    auto a = session.create_arange("a", DType::kInt64, {100'000});
    session.create_arange("b", DType::kInt64, {100'000});
    freeze_workers();
    auto job = session.submit(session.evaluate("a + 1"), into(a));
    job.id();  // it is there
    kill_server();
  }
  start_lasting(2);
  auto session = connect();
  EXPECT_TRUE(session.find("a").info().incomplete);
  EXPECT_FALSE(session.find("b").info().incomplete);
  auto a = session.find("a");
  expect_failure([&] { session.submit(session.evaluate("a + 1"), into(a)).wait(); }, ErrorCode::kBadData, {"'a' is incomplete"});
  session.submit(session.evaluate("b * 2"), into(a)).wait();
  EXPECT_FALSE(session.find("a").info().incomplete);
  EXPECT_EQ(copy<std::int64_t>(a)[99'999], 199'998);
  session.stop_server(true);
}

// ---- many clients

TEST_F(IntoArrays, ManyClientsTakeTurns) {
  start(3);
  constexpr int kClients = 6, kRounds = 40;
  {
    auto session = connect();
    session.create("shared", DType::kInt64, {50'000});
    session.create("other", DType::kInt64, {50'000});
  }
  std::vector<std::thread> clients;
  std::vector<std::string> troubles(kClients);
  for (int client = 0; client < kClients; ++client)
    clients.emplace_back([&, client] {
      try {
        auto session = connect(fmt::format("client {}", client));
        auto shared = session.find("shared"), other = session.find("other");
        for (int round = 0; round < kRounds; ++round) {
          std::vector<Job> jobs;
          jobs.push_back(session.submit(session.evaluate("shared + 1"), into(shared)));
          jobs.push_back(session.submit(session.evaluate("other[::-1] + 1"), into(other.viewed("[::-1]"))));
          jobs.push_back(session.submit(session.evaluate("all(shared == shared[0])")));
          if (jobs.back().wait().scalar->as<bool>() != true) troubles[client] = "a reader saw an array that was being written";
          jobs.pop_back();
          for (Job& job : jobs) job.wait();
        }
      } catch (const Failure& failure) {
        troubles[client] = failure.what();
      }
    });
  for (std::thread& client : clients) client.join();
  for (const std::string& trouble : troubles) EXPECT_EQ(trouble, "");
  auto session = connect();
  for (const char* name : {"shared", "other"})
    for (const std::int64_t value : copy<std::int64_t>(session.find(name))) ASSERT_EQ(value, kClients * kRounds) << name;
}

TEST_F(IntoArrays, AClientThatGoesCancelsItsOwnTurnsAlone) {
  open(2);
  auto a = session_->create("a", DType::kInt64, {1000});
  freeze_workers();
  auto first = session_->submit(session_->evaluate("a + 1"), into(a));
  first.id();  // it is there, before all others
  {
    auto other = connect();
    auto seen = other.find("a");
    for (int i = 0; i < 20; ++i) other.submit(other.evaluate("a + 1"), into(seen));
  }
  until([&] { return session_->status().jobs_queued == 0; }, "the other's jobs are cancelled");
  auto second = session_->submit(session_->evaluate("a + 1"), into(a));
  EXPECT_EQ(second.info().state, JobState::kQueued);
  thaw_workers();
  first.wait();
  second.wait();
  for (const std::int64_t value : copy<std::int64_t>(a)) ASSERT_EQ(value, 2);
}

}  // namespace
}  // namespace parcompute::testing
