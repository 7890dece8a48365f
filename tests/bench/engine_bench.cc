// The array engine's side of `engine_bench`, and that of what it is held against where that is C++: obeys lines from stdin.
//
//   uniform NAME LOW HIGH DIM...     a float64 array of random numbers; answers "array FILE OFFSET", where it can be mapped
//   empty NAME DIM...                a float64 array, written once
//   drop                             all arrays
//   evaluate OUT|- EXPRESSION        ours, into an array that exists or as a scalar: answers "took WALL CPU [SCALAR]"
//   matmul A B OUT, sort A OUT, random OUT
//   loop A B OUT                     2*a+3*b by threads, streaming stores: the same answer
//   read A...                        threads that only read
//   gemms A B OUT, gemm A B OUT      OpenBLAS: a product a thread; all threads on one product
//
// Loops and products beside ours work on the same arrays, so that both have the same pages. WALL is what one synchronous
// call takes, CPU the processor time of all that computed: on a machine with other guests it is the steadier one.
#include <immintrin.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <cblas.h>
#include <fmt/format.h>

#include "client/cpp/parcompute.h"
#include "common/shm/segment_header.h"

namespace parcompute::bench {
namespace {

struct Took {
  double wall = 0;
  double cpu = 0;
};

double cpu_of(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

Took timed(const std::function<double()>& cpu, const std::function<void()>& work) {
  const double before = cpu();
  const auto start = std::chrono::steady_clock::now();
  work();
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return {wall, cpu() - before};
}

// Calls work(first, count) for each thread's share of `elements`, in whole pages of doubles.
void share_out(unsigned threads, std::size_t elements, const std::function<void(std::size_t, std::size_t)>& work) {
  constexpr std::size_t kPage = 512;
  const std::size_t each = (elements / threads + kPage - 1) / kPage * kPage;
  std::vector<std::thread> all;
  for (std::size_t first = 0; first < elements; first += each) all.emplace_back(work, first, std::min(each, elements - first));
  for (std::thread& thread : all) thread.join();
}

// What a person would write by hand. `out` is aligned to 32 bytes.
__attribute__((target("avx2"))) void scaled_sum(const double* a, const double* b, double* out, std::size_t count) {
  const __m256d two = _mm256_set1_pd(2), three = _mm256_set1_pd(3);
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (std::size_t k = i; k < i + 8; k += 4)
      _mm256_stream_pd(out + k, _mm256_add_pd(_mm256_mul_pd(two, _mm256_loadu_pd(a + k)), _mm256_mul_pd(three, _mm256_loadu_pd(b + k))));
  for (; i < count; ++i) out[i] = 2 * a[i] + 3 * b[i];
  _mm_sfence();
}

// Every word once, by the quickest way there is.
__attribute__((target("avx2"))) std::int64_t joined(const double* x, std::size_t count) {
  const auto* words = reinterpret_cast<const __m256i*>(x);
  __m256i lanes[8] = {};
  for (std::size_t i = 0; i + 8 <= count / 4; i += 8)
    for (std::size_t k = 0; k < 8; ++k) lanes[k] = _mm256_xor_si256(lanes[k], _mm256_loadu_si256(words + i + k));
  std::int64_t all = 0;
  for (const __m256i& lane : lanes) all ^= _mm256_extract_epi64(lane, 0) ^ _mm256_extract_epi64(lane, 1) ^ _mm256_extract_epi64(lane, 2) ^ _mm256_extract_epi64(lane, 3);
  return all;
}

class Bench {
 public:
  explicit Bench(unsigned workers) : threads_(workers), server_(server_options(workers)), session_(Session::connect(connect_options(server_))) {
    do {
      pids_.clear();
      for (const WorkerInfo& worker : session_.status().workers)
        if (worker.pid > 0) pids_.push_back(worker.pid);
    } while (pids_.size() < workers);  // they are being started
  }

  std::string obey(const std::string& line) {
    std::istringstream words(line);
    std::string verb;
    words >> verb;
    const auto name = [&] {
      std::string word;
      if (!(words >> word)) throw Failure(ErrorCode::kInvalidArgument, fmt::format("'{}' lacks a name", line));
      return word;
    };
    const auto array = [&]() -> Array& {
      const std::string word = name();
      const auto found = arrays_.find(word);
      if (found == arrays_.end()) throw Failure(ErrorCode::kInvalidArgument, fmt::format("there is no array '{}'", word));
      return found->second;
    };
    if (verb == "drop") {
      for (const auto& [key, value] : arrays_) session_.remove(key);
      arrays_.clear();
      return "dropped";
    }
    if (verb == "uniform") {
      const std::string key = name();
      Random random;
      words >> random.low >> random.high;
      random.shape = dims(words);
      random.seed = 1 + arrays_.size();
      return keep(key, session_.submit(random, named(key)).wait().output);
    }
    if (verb == "empty") {
      const std::string key = name();
      return keep(key, session_.create_arange(key, DType::kFloat64, dims(words)));
    }
    if (verb == "evaluate") {
      SubmitOptions options;
      if (const std::string out = name(); out != "-") options.into = arrays_.at(out);
      std::string expression;
      std::getline(words, expression);
      return ours(session_.evaluate(expression), options);
    }
    if (verb == "matmul") {
      const Matmul product{array(), array()};
      return ours(product, into(array()));
    }
    if (verb == "sort") {
      const Sort sort{array(), -1};
      return ours(sort, into(array()));
    }
    if (verb == "random") {
      Random random;
      const SubmitOptions options = into(array());
      random.shape = options.into.shape();
      return ours(random, options);
    }
    std::vector<double*> data;
    std::vector<std::int64_t> shape;
    std::size_t elements = 0;
    for (std::string word; words >> word;) {
      Array& operand = arrays_.at(word);
      if (data.empty()) {
        shape = operand.shape();
        elements = operand.size();
      }
      data.push_back(reinterpret_cast<double*>(operand.data()));
    }
    if (verb == "loop" && data.size() == 3)
      return theirs([&] {
        share_out(threads_, elements, [&](std::size_t first, std::size_t count) { scaled_sum(data[0] + first, data[1] + first, data[2] + first, count); });
      });
    if (verb == "read" && !data.empty())
      return theirs([&] {
        share_out(threads_, elements, [&](std::size_t first, std::size_t count) {
          // A piece of each in turn, as whoever needs them all.
          constexpr std::size_t kPiece = 4096;
          for (std::size_t at = 0; at < count; at += kPiece)
            for (const double* x : data) sink_ ^= joined(x + first + at, std::min(kPiece, count - at));
        });
      });
    if (verb == "gemms" && data.size() == 3 && shape.size() == 3)
      return theirs([&] {
        openblas_set_num_threads(1);
        const auto products = static_cast<std::size_t>(shape[0]), n = static_cast<std::size_t>(shape[1]);
        std::vector<std::thread> all;
        for (unsigned thread = 0; thread < threads_; ++thread)
          all.emplace_back([&, thread] {
            for (std::size_t i = thread; i < products; i += threads_) multiply(data[0] + i * n * n, data[1] + i * n * n, data[2] + i * n * n, static_cast<blasint>(n));
          });
        for (std::thread& thread : all) thread.join();
      });
    if (verb == "gemm" && data.size() == 3 && shape.size() == 2) {
      openblas_set_num_threads(static_cast<int>(threads_));
      return theirs([&] { multiply(data[0], data[1], data[2], static_cast<blasint>(shape[0])); });
    }
    throw Failure(ErrorCode::kInvalidArgument, fmt::format("'{}' is no command, or its operands are not its own", line));
  }

 private:
  static ServerOptions server_options(unsigned workers) {
    ServerOptions options;
    options.workers = workers;
    return options;
  }
  static SubmitOptions named(const std::string& name) {
    SubmitOptions options;
    options.output = name;
    return options;
  }
  static SubmitOptions into(const Array& array) {
    SubmitOptions options;
    options.into = array;
    return options;
  }
  static ConnectOptions connect_options(const PrivateServer& server) {
    ConnectOptions options;
    options.socket = server.socket();
    return options;
  }
  static std::vector<std::int64_t> dims(std::istringstream& words) {
    std::vector<std::int64_t> shape;
    for (std::int64_t dim = 0; words >> dim;) shape.push_back(dim);
    return shape;
  }
  static void multiply(const double* a, const double* b, double* c, blasint n) {
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, a, n, b, n, 0, c, n);
  }

  std::string keep(const std::string& key, const Array& array) {
    arrays_[key] = array;
    return fmt::format("array /dev/shm/{} {}", array.info().segment_name, segment_data_offset(array.info().nbytes()) + array.spec().offset);
  }

  double workers_cpu() const {
    double all = 0;
    for (const int pid : pids_)
      if (clockid_t clock{}; ::clock_getcpuclockid(pid, &clock) == 0) all += cpu_of(clock);
    return all;
  }

  std::string ours(const Operation& operation, const SubmitOptions& options) {
    std::string scalar;
    const Took took = timed([&] { return workers_cpu(); }, [&] {
      const JobResult result = session_.submit(operation, options).wait();
      if (result.scalar && result.scalar->dtype == DType::kFloat64) scalar = fmt::format(" {}", result.scalar->as<double>());
    });
    return fmt::format("took {} {}{}", took.wall, took.cpu, scalar);
  }
  static std::string theirs(const std::function<void()>& work) {
    const Took took = timed([] { return cpu_of(CLOCK_PROCESS_CPUTIME_ID); }, work);
    return fmt::format("took {} {}", took.wall, took.cpu);
  }

  std::atomic<std::int64_t> sink_ = 0;  // what was read is used
  unsigned threads_;
  PrivateServer server_;
  Session session_;
  std::vector<int> pids_;
  std::map<std::string, Array> arrays_;
};

}  // namespace
}  // namespace parcompute::bench

int main(int argc, char** argv) {
  const unsigned workers = argc > 1 ? static_cast<unsigned>(std::max(1, std::atoi(argv[1]))) : 2;
  try {
    parcompute::bench::Bench bench(workers);
    std::cout << "ready" << std::endl;
    for (std::string line; std::getline(std::cin, line);) std::cout << bench.obey(line) << std::endl;
  } catch (const std::exception& failure) {
    fmt::print(stderr, "engine_bench: {}\n", failure.what());
    return 1;
  }
  return 0;
}
