#include "client/cpp/wire.h"

#include <initializer_list>
#include <type_traits>

#include <fmt/format.h>

#include "client/cpp/array_state.h"
#include "common/operation/operation.h"

namespace parcompute {
namespace {

template <class Message>
void set_axis(Axis axis, Message& message) {
  if (axis) message.set_axis(*axis);
}

std::string_view function_of(Reduce::Op op) {
  switch (op) {
    case Reduce::Op::kSum: return "sum";
    case Reduce::Op::kProd: return "prod";
    case Reduce::Op::kMin: return "min";
    case Reduce::Op::kMax: return "max";
    case Reduce::Op::kMean: return "mean";
    case Reduce::Op::kVar: return "var";
    case Reduce::Op::kStd: return "std";
    case Reduce::Op::kAny: return "any";
    case Reduce::Op::kAll: return "all";
    case Reduce::Op::kArgmin: return "argmin";
    case Reduce::Op::kArgmax: return "argmax";
    case Reduce::Op::kCountNonzero: return "count_nonzero";
  }
  return "";
}

struct OperationWriter {
  const Connection& server;
  wire::SubmitJob& message;

  void add_input(const Array& array) const { refer(array, server, *message.add_inputs()); }

  void operator()(const Reduce& reduce) const {
    wire::Evaluate& wanted = *message.mutable_operation()->mutable_evaluate();
    wanted.set_expression(reduce.axis ? fmt::format("{}(a, axis={})", function_of(reduce.op), *reduce.axis) : fmt::format("{}(a)", function_of(reduce.op)));
    wanted.add_names()->push_back('a');  // g++ 12 takes add_names("a") for an overflow
    add_input(reduce.a);
  }
  void operator()(const Matmul& matmul) const {
    message.mutable_operation()->mutable_matmul();
    add_input(matmul.a);
    add_input(matmul.b);
  }
  void operator()(const Mandelbrot& mandelbrot) const {
    wire::Mandelbrot& wanted = *message.mutable_operation()->mutable_mandelbrot();
    wanted.set_nx(mandelbrot.nx);
    wanted.set_ny(mandelbrot.ny);
    wanted.set_x_min(mandelbrot.x_min);
    wanted.set_x_max(mandelbrot.x_max);
    wanted.set_y_min(mandelbrot.y_min);
    wanted.set_y_max(mandelbrot.y_max);
    wanted.set_max_iter(mandelbrot.max_iter);
  }
  void operator()(const Evaluate& evaluate) const {
    wire::Evaluate& wanted = *message.mutable_operation()->mutable_evaluate();
    wanted.set_expression(evaluate.expression);
    if (evaluate.dtype) wanted.set_dtype(static_cast<std::uint32_t>(*evaluate.dtype));
    for (const Evaluate::Operand& operand : evaluate.operands) {
      wanted.add_names(operand.name);
      add_input(operand.array);
    }
  }
  void operator()(const Dot& dot) const {
    message.mutable_operation()->mutable_dot();
    add_inputs({dot.a, dot.b});
  }
  void operator()(const Vecdot& vecdot) const {
    message.mutable_operation()->mutable_vecdot();
    add_inputs({vecdot.a, vecdot.b});
  }
  void operator()(const Outer& outer) const {
    message.mutable_operation()->mutable_outer();
    add_inputs({outer.a, outer.b});
  }
  void operator()(const Sort& sort) const { order(sort, *message.mutable_operation()->mutable_sort()); }
  void operator()(const Argsort& argsort) const { order(argsort, *message.mutable_operation()->mutable_argsort()); }
  void operator()(const Cumsum& cumsum) const { scan(cumsum, wire::Scan::SUM); }
  void operator()(const Cumprod& cumprod) const { scan(cumprod, wire::Scan::PROD); }
  void operator()(const Compress& compress) const {
    message.mutable_operation()->mutable_compress();
    add_inputs({compress.a, compress.mask});
  }
  void operator()(const Take& take) const {
    set_axis(take.axis, *message.mutable_operation()->mutable_take());
    add_inputs({take.a, take.indices});
  }
  void operator()(const Unique& unique) const {
    message.mutable_operation()->mutable_unique();
    add_input(unique.a);
  }
  void operator()(const Searchsorted& search) const {
    message.mutable_operation()->mutable_searchsorted()->set_right(search.right);
    add_inputs({search.a, search.v});
  }
  void operator()(const Bincount& count) const {
    message.mutable_operation()->mutable_bincount()->set_length(count.length);
    add_input(count.a);
    if (count.weights) add_input(count.weights);
  }
  void operator()(const Histogram& histogram) const {
    wire::Histogram& wanted = *message.mutable_operation()->mutable_histogram();
    add_input(histogram.a);
    if (histogram.edges) {
      add_input(histogram.edges);
    } else {
      wanted.set_bins(histogram.bins);
      wanted.set_low(histogram.low);
      wanted.set_high(histogram.high);
    }
    wanted.set_weighted(static_cast<bool>(histogram.weights));
    if (histogram.weights) add_input(histogram.weights);
  }
  void operator()(const Percentile& percentile) const {
    wire::Percentile& wanted = *message.mutable_operation()->mutable_percentile();
    for (const double q : percentile.q) wanted.add_q(q);
    wanted.set_drop_q(percentile.q.size() == 1);
    set_axis(percentile.axis, wanted);
    add_input(percentile.a);
  }
  void operator()(const Concatenate& concatenate) const {
    wire::Concatenate& wanted = *message.mutable_operation()->mutable_concatenate();
    wanted.set_axis(concatenate.axis);
    wanted.set_stack(concatenate.stack);
    for (const Array& array : concatenate.arrays) add_input(array);
  }
  void operator()(const Random& random) const {
    wire::Random& wanted = *message.mutable_operation()->mutable_random();
    to_wire(value_or_throw(make_spec(random.dtype, random.shape)), *wanted.mutable_spec());
    wanted.set_key_low(random.seed);
    switch (random.distribution) {
      case Random::Distribution::kUniform:
        wanted.mutable_uniform()->set_low(random.low);
        wanted.mutable_uniform()->set_high(random.high);
        return;
      case Random::Distribution::kNormal:
        wanted.mutable_normal()->set_mean(random.mean);
        wanted.mutable_normal()->set_standard_deviation(random.standard_deviation);
        return;
      case Random::Distribution::kExponential: return wanted.mutable_exponential()->set_scale(random.scale);
      case Random::Distribution::kIntegers:
        wanted.mutable_integers()->set_least(random.least.bytes.data(), itemsize(random.dtype));
        wanted.mutable_integers()->set_most(random.most.bytes.data(), itemsize(random.dtype));
        return;
    }
  }

  void add_inputs(std::initializer_list<Array> arrays) const {
    for (const Array& array : arrays) add_input(array);
  }
  template <class Ordering, class Message>
  void order(const Ordering& ordering, Message& wanted) const {
    set_axis(ordering.axis, wanted);
    wanted.set_descending(ordering.descending);
    add_input(ordering.a);
  }
  template <class Running>
  void scan(const Running& running, wire::Scan::Operator op) const {
    wire::Scan& wanted = *message.mutable_operation()->mutable_scan();
    wanted.set_op(op);
    set_axis(running.axis, wanted);
    add_input(running.a);
  }

  void operator()(const Nop& nop) const { message.mutable_operation()->mutable_nop()->set_blocks(nop.blocks); }
};

DeathCertificate death_certificate(const wire::DeathCertificate& message) {
  DeathCertificate certificate{message.phase(), message.first_block(), message.block_count(), message.slice(), {}};
  for (const wire::Death& death : message.deaths())
    certificate.deaths.push_back({death.worker(), death.pid(), death.how(), death.fault(), death.peak_bytes(), death.by_oom_killer()});
  return certificate;
}

}  // namespace

void throw_failure(const Error& error) {
  throw Failure(error.code, error.message, error.system_errno);
}

void throw_failure(const wire::Failed& failed) {
  const auto code = is_known_error_code(failed.code()) ? static_cast<ErrorCode>(failed.code()) : ErrorCode::kSystem;
  throw Failure(code, failed.message(), failed.system_errno());
}

ArrayInfo array_info(const wire::ArrayInfo& message) {
  const ArraySpec spec = value_or_throw(from_wire(message.spec()));
  ArrayInfo array;
  array.id = message.id();
  array.name = message.name();
  array.dtype = spec.dtype;
  array.shape = spec.shape;
  array.strides = spec.strides;
  array.path = message.path();
  array.segment_name = message.segment_name();
  array.writable = message.writable();
  array.incomplete = message.incomplete();
  array.writer_job = message.writer_job();
  array.owner_uid = message.owner_uid();
  // A mode of a newer server says at least that others may read.
  array.mode = array_mode_from_number(static_cast<std::uint32_t>(message.mode())).value_or(ArrayMode::kGroupRead);
  return array;
}

JobInfo job_info(const wire::JobInfo& message) {
  JobInfo job;
  job.id = message.id();
  job.state = static_cast<JobState>(message.state());
  job.operation = message.operation();
  job.expression = message.expression();
  job.blocks_done = message.blocks_done();
  job.blocks_total = message.blocks_total();
  job.chunks_done = message.chunks_done();
  job.seconds = message.seconds();
  job.busy_seconds = message.busy_seconds();
  job.bytes_read = message.bytes_read();
  job.bytes_written = message.bytes_written();
  job.retries = message.retries();
  job.owner_uid = message.owner_uid();
  job.detached = message.detached();
  job.waiting_for = message.waiting_for();
  if (message.ending() != wire::JobInfo::UNSPECIFIED) job.ending = static_cast<JobState>(message.ending());
  if (message.has_error()) {
    job.error_code = is_known_error_code(message.error().code()) ? static_cast<ErrorCode>(message.error().code()) : ErrorCode::kSystem;
    job.error = message.error().message();
  }
  job.priority = message.priority();
  job.background = message.background();
  if (message.time_limit_seconds() > 0) job.time_limit_seconds = message.time_limit_seconds();
  if (message.has_certificate()) job.certificate = death_certificate(message.certificate());
  return job;
}

JobExplanation job_explanation(const wire::JobExplained& message) {
  JobExplanation explanation;
  explanation.job = job_info(message.job());
  for (const wire::Obstacle& row : message.obstacles()) {
    const bool is_known = wire::Obstacle::Cause_IsValid(row.cause());
    explanation.obstacles.push_back({is_known ? static_cast<Obstacle::Cause>(row.cause()) : Obstacle::Cause::kUnknown, row.job(), row.array(), row.bytes()});
  }
  explanation.obstacle_count = message.obstacle_count();
  explanation.phase = message.phase();
  explanation.phases = message.phases();
  explanation.phase_blocks = message.phase_blocks();
  explanation.phase_blocks_done = message.phase_blocks_done();
  explanation.blocks_in_hand = message.blocks_in_hand();
  explanation.workers = message.workers();
  explanation.most_workers = message.most_workers();
  explanation.share = message.share();
  if (message.has_seconds_left()) explanation.seconds_left = message.seconds_left();
  return explanation;
}

Status status_of(const wire::StatusReported& message) {
  Status status;
  status.server_pid = message.server_pid();
  status.forkserver_pid = message.forkserver_pid();
  status.server = message.server();
  status.socket = message.socket();
  status.instance = message.instance();
  for (const wire::WorkerInfo& row : message.workers()) {
    WorkerInfo worker;
    worker.id = row.index();
    worker.pid = row.pid();
    if (row.cpu() >= 0) worker.cpu = row.cpu();
    worker.state = static_cast<WorkerInfo::State>(row.state());
    worker.chunks_done = row.chunks_done();
    worker.replaced = row.replaced();
    if (row.has_node()) worker.node = row.node();
    worker.parked = row.parked();
    status.workers.push_back(worker);
  }
  status.worker_limit = message.worker_limit();
  status.worker_limit_source = message.worker_limit_source();
  status.memory_limit_bytes = message.memory_limit_bytes();
  status.memory_limit_source = message.memory_limit_source();
  status.memory_used_bytes = message.memory_used_bytes();
  status.memory_spare_bytes = message.memory_spare_bytes();
  status.memory_held_bytes = message.memory_held_bytes();
  status.memory_freeing_bytes = message.memory_freeing_bytes();
  status.arrays = message.arrays();
  status.jobs_queued = message.jobs_queued();
  status.jobs_running = message.jobs_running();
  status.jobs_ended = message.jobs_ended();
  status.chunks_done = message.chunks_done();
  status.sessions = message.sessions();
  status.uptime_seconds = message.uptime_seconds();
  for (const wire::UserUse& user : message.users()) status.users.push_back({user.uid(), user.memory_bytes(), user.arrays(), user.jobs(), user.sessions()});
  return status;
}

void to_wire(const Operation& operation, const Connection& server, wire::SubmitJob& message) {
  std::visit(OperationWriter{server, message}, operation);
}

}  // namespace parcompute
