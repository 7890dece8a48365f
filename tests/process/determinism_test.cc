// The same bits for every number of workers and every size of chunks.
#include <cstring>
#include <map>

#include <gmock/gmock.h>

#include "tests/support/reference.h"
#include "tests/support/server_fixture.h"

namespace parcompute::testing {
namespace {

constexpr std::array kWorkers{1u, 2u, 3u, 4u, 7u, 8u};
constexpr std::array<std::uint64_t, 3> kChunks{0, 1, 5};

class SameBits : public ServerTest {
 protected:
  // `compute` answers a result's bytes; they must be the same for every pool and chunk size.
  void check(const std::function<std::string(Session&, const SubmitOptions&)>& compute) {
    std::optional<std::string> first;
    for (const unsigned workers : kWorkers) {
      start(workers);
      {
        auto session = connect();
        for (const std::uint64_t chunk : kChunks) {
          SubmitOptions options;
          options.chunk_blocks = chunk;
          const std::string bits = compute(session, options);
          if (!first) first = bits;
          EXPECT_TRUE(bits == *first) << workers << " workers, chunks of " << chunk;
        }
      }
      end_server();
    }
  }

  template <class T>
  void check_sum(std::int64_t size) {
    check([&](Session& session, const SubmitOptions& options) {
      Array array = session.create("", dtype_of<T>(), {size});
      fill_with_rough_numbers(array.view<T>(), 17);
      const Scalar sum = *session.submit(Reduce{.a = array}, options).wait().scalar;
      return raw(sum.as<T>());
    });
  }

  template <class T>
  static std::string raw(const T& value) {
    return {reinterpret_cast<const char*>(&value), sizeof value};
  }
  static std::string raw(Array array) {
    return {reinterpret_cast<const char*>(std::as_const(array).data()), array.info().nbytes()};
  }
};

TEST_F(SameBits, ForSumsOfFloat64) {
  for (const std::int64_t size : {1'000'007, 16'385, 131'071}) check_sum<double>(size);
}

TEST_F(SameBits, ForSumsOfFloat32) {
  for (const std::int64_t size : {1'000'007, 32'769, 262'143}) check_sum<float>(size);
}

TEST_F(SameBits, ForExpressionsThatReduceInTheirMiddle) {
  check([](Session& session, const SubmitOptions& options) {
    auto x = session.create("", DType::kFloat32, {777, 513});
    fill_with_rough_numbers(x.view<float>(), 23);
    std::string bits;
    for (const char* expression : {"x - mean(x, axis=1, keepdims=True)", "std(x, axis=0)", "sum(x * x, axis=(0, 1), keepdims=True)", "exp(x * 1e-6) / (1 + x**2)"})
      bits += raw(session.submit(session.evaluate(expression, {{"x", x}}), options).wait().output);
    return bits;
  });
}

TEST_F(SameBits, ForWhatIsWrittenIntoItsOwnOperand) {
  check([](Session& session, const SubmitOptions& options) {
    auto x = session.create("", DType::kFloat64, {300'007});
    fill_with_rough_numbers(x.view<double>(), 29);
    SubmitOptions in_place = options;
    in_place.into = x.viewed("[1:]");
    for (int round = 0; round < 3; ++round)
      session.submit(session.evaluate("a * 0.5 + b", {{"a", x.viewed("[:-1]")}, {"b", x.viewed("[:0:-1]")}}), in_place).wait();
    return raw(x);
  });
}

TEST_F(SameBits, ForSortedAndSummedUpOnes) {
  check([](Session& session, const SubmitOptions& options) {
    auto x = session.create("", DType::kFloat64, {400'003});
    fill_with_rough_numbers(x.view<double>(), 31);
    return raw(session.submit(Sort{x, 0}, options).wait().output) + raw(session.submit(Cumsum{x, {}}, options).wait().output) +
           raw(session.submit(Unique{x}, options).wait().output) + raw(session.submit(Argsort{x, 0}, options).wait().output);
  });
}

TEST_F(SameBits, ForProductsOfMatrices) {
  check([](Session& session, const SubmitOptions& options) {
    auto a = session.create("", DType::kFloat64, {333, 257});
    auto b = session.create("", DType::kFloat64, {257, 411});
    fill_with_rough_numbers(a.view<double>(), 3);
    fill_with_rough_numbers(b.view<double>(), 4);
    return raw(session.submit(Matmul{a, b}, options).wait().output);
  });
}

TEST_F(SameBits, ForStacksOfSmallProducts) {
  check([](Session& session, const SubmitOptions& options) {
    auto a = session.create("", DType::kFloat32, {500, 9, 7});
    auto b = session.create("", DType::kFloat32, {1, 7, 11});
    fill_with_rough_numbers(a.view<float>(), 3);
    fill_with_rough_numbers(b.view<float>(), 4);
    return raw(session.submit(Matmul{a, b}, options).wait().output);
  });
}

TEST_F(SameBits, ForEscapeCounts) {
  check([](Session& session, const SubmitOptions& options) {
    return raw(session.submit(Mandelbrot{.nx = 200, .ny = 201, .max_iter = 500}, options).wait().output);
  });
}

TEST_F(SameBits, ForIntegerSumsAsThePlainLoopGivesThem) {
  check([](Session& session, const SubmitOptions& options) {
    auto array = session.create_arange("", DType::kUint16, {1'000'007});
    std::uint64_t expected = 0;
    for (const std::uint16_t value : array.view<const std::uint16_t>()) expected += value;
    const auto sum = session.submit(Reduce{.a = array}, options).wait().scalar->as<std::uint64_t>();
    EXPECT_EQ(sum, expected);
    return raw(sum);
  });
}

TEST_F(SameBits, WhereTheWorkIsMoreThanMapsAtOnce) {
  // More arrays than a worker keeps mapped: it forgets some and is given them again.
  start(2);
  auto session = connect();
  std::vector<Array> arrays;
  for (int i = 0; i < 600; ++i) arrays.push_back(session.create_arange("", DType::kInt64, {10 + i}));
  for (int round = 0; round < 2; ++round) {
    std::vector<Job> jobs;
    for (const Array& array : arrays) jobs.push_back(session.submit(Reduce{.a = array}));
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      const auto n = static_cast<std::int64_t>(10 + i);
      ASSERT_EQ(jobs[i].wait().scalar->as<std::int64_t>(), n * (n - 1) / 2);
    }
  }
}

}  // namespace
}  // namespace parcompute::testing
