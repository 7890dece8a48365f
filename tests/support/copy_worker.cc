// parcompute-copy-worker: one worker process of a CopyPool. Its argument is the number of its socket.
//
// The computations are plain loops and OpenBLAS at one thread; Mandelbrot counts come from the service's own
// kernel, so that what the comparison shows is the handing over and the splitting, not another inner loop.
#include <cblas.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <utility>

#include "common/base/invariant.h"
#include "common/operation/operation.h"
#include "common/operation/plans.h"
#include "tests/support/copy_message.h"
#include "worker/kernels/kernel.h"

namespace parcompute {
namespace {

template <class T>
PlainArray scalar(T value) {
  PlainArray result = make_array(dtype_of<T>(), {});
  *reinterpret_cast<T*>(result.data.span().data()) = value;
  return result;
}

std::uint64_t sum(std::span<const std::uint8_t> values) {
  // In runs whose sum fits 32 bits, which compilers turn into wide vector loops.
  constexpr std::size_t kRun = 65536;
  std::uint64_t total = 0;
  for (std::size_t first = 0; first < values.size(); first += kRun) {
    std::uint32_t run = 0;
    for (const std::uint8_t value : values.subspan(first, std::min(kRun, values.size() - first)))
      run += value;
    total += run;
  }
  return total;
}

double sum(std::span<const double> values) {
  // Eight partial sums: with one alone, each addition would wait for the one before.
  constexpr std::size_t kLanes = 8;
  double lanes[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes)
    for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += values[i + lane];
  for (; i < values.size(); ++i) lanes[0] += values[i];
  double total = 0;
  for (const double lane : lanes) total += lane;
  return total;
}

PlainArray matmul(const PlainArray& a, const PlainArray& b) {
  const auto m = static_cast<int>(a.shape[0]), k = static_cast<int>(a.shape[1]),
             n = static_cast<int>(b.shape[1]);
  PARCOMPUTE_INVARIANT(b.shape[0] == k && m > 0 && k > 0 && n > 0);
  PlainArray c = make_array(DType::kFloat64, {m, n});
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, a.view<double>().data(), k,
              b.view<double>().data(), n, 0, reinterpret_cast<double*>(c.data.span().data()), n);
  return c;
}

Result<PlainArray> mandelbrot(const MandelbrotPart& part) {
  wire::Operation operation;
  wire::Mandelbrot& m = *operation.mutable_mandelbrot();
  m.set_nx(part.nx);
  m.set_ny(part.ny);
  m.set_max_iter(part.max_iter);
  m.set_x_min(part.x_min);
  m.set_x_max(part.x_max);
  m.set_y_min(part.y_min);
  m.set_y_max(part.y_max);
  auto plan = plan_operation(operation, {});
  if (!plan) return fail(plan.error());
  const ArraySpec spec = *plan->output;
  // The kernel writes at its blocks' places in the whole grid; what it leaves alone never becomes real
  // memory.
  PlainArray grid = make_array(spec.dtype, spec.shape);
  KernelJob job{operation, std::move(*plan), {}, {View{spec, "counts", grid.data.span().data()}}, {}};
  for (const KernelRow& row : kernels()) {
    if (row.kind != operation.kind_case()) continue;
    const auto kernel = row.make(std::move(job));
    ScalarBytes none{};
    if (auto ran = kernel->run(0, {part.first_block, part.block_count}, none); !ran) return fail(ran.error());
    const auto counts = grid.view<std::int64_t>().subspan(part.first_block * kMandelbrotBlockPoints);
    const std::size_t points = std::min(counts.size(), part.block_count * kMandelbrotBlockPoints);
    PlainArray result = make_array(spec.dtype, {static_cast<std::int64_t>(points)});
    std::copy_n(counts.begin(), points, reinterpret_cast<std::int64_t*>(result.data.span().data()));
    return result;
  }
  return fail(ErrorCode::kUnsupported, "there is no kernel for Mandelbrot counts");
}

Result<PlainArray> compute(const Message& task) {
  const std::vector<PlainArray>& arrays = task.arrays;
  switch (task.head.op) {
    case CopyOp::kSum:
      if (arrays.size() == 1 && arrays[0].dtype == DType::kUint8)
        return scalar(sum(arrays[0].view<std::uint8_t>()));
      if (arrays.size() == 1 && arrays[0].dtype == DType::kFloat64)
        return scalar(sum(arrays[0].view<double>()));
      break;
    case CopyOp::kMatmul:
      if (arrays.size() == 2 && arrays[0].shape.size() == 2 && arrays[1].shape.size() == 2)
        return matmul(arrays[0], arrays[1]);
      break;
    case CopyOp::kMandelbrot:
      return mandelbrot(task.head.mandelbrot);
  }
  return fail(ErrorCode::kInvalidArgument, "a copy worker was given arrays that its operation does not take");
}

// Serves until the pool closes its end.
Result<void> serve(int socket) {
  for (;;) {
    auto bytes = receive_message(socket);
    if (!bytes && bytes.error().code == ErrorCode::kNoServer) return {};
    if (!bytes) return fail(bytes.error());
    auto task = deserialize(bytes->span());
    if (!task) return fail(task.error());
    *bytes = FreshBytes();  // as Python drops the pickle once it is loaded

    const auto start = std::chrono::steady_clock::now();
    auto result = compute(*task);
    if (!result) return fail(result.error());
    MessageHead head = task->head;
    head.busy_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const ArrayRef array = result->ref();
    const FreshBytes answer = serialize(head, {&array, 1});
    if (auto sent = send_message(socket, answer.span()); !sent) return fail(sent.error());
  }
}

}  // namespace
}  // namespace parcompute

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: parcompute-copy-worker SOCKET-NUMBER (a CopyPool starts it)\n", stderr);
    return 64;
  }
  const auto served = parcompute::serve(std::atoi(argv[1]));
  if (served) return 0;
  std::fprintf(stderr, "parcompute-copy-worker: %s\n", served.error().message.c_str());
  return 1;
}
