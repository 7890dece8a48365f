#include "client/cpp/wire.h"

#include <type_traits>

#include <fmt/format.h>

#include "common/operation/operation.h"

namespace parcompute {
namespace {

void add_input(const Array& array, wire::SubmitJob& message) {
  if (!array) throw Failure(ErrorCode::kInvalidArgument, "an operand of the job is an empty array handle; create or find it first");
  message.add_inputs()->set_id(array.info().id);
}

wire::Reduce::Operator wire_operator(Reduce::Op op) {
  switch (op) {
    case Reduce::Op::kSum: return wire::Reduce::SUM;
    case Reduce::Op::kMin: return wire::Reduce::MIN;
    case Reduce::Op::kMax: return wire::Reduce::MAX;
  }
  return wire::Reduce::UNSPECIFIED;
}

struct OperationWriter {
  wire::SubmitJob& message;

  void operator()(const Reduce& reduce) const {
    message.mutable_operation()->mutable_reduce()->set_op(wire_operator(reduce.op));
    add_input(reduce.a, message);
  }
  void operator()(const Matmul& matmul) const {
    message.mutable_operation()->mutable_matmul();
    add_input(matmul.a, message);
    add_input(matmul.b, message);
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
  void operator()(const Nop& nop) const { message.mutable_operation()->mutable_nop()->set_blocks(nop.blocks); }
};

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
  array.owner_uid = message.owner_uid();
  return array;
}

JobInfo job_info(const wire::JobInfo& message) {
  JobInfo job;
  job.id = message.id();
  job.state = static_cast<JobState>(message.state());
  job.operation = message.operation();
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
  if (message.has_error()) {
    job.error_code = is_known_error_code(message.error().code()) ? static_cast<ErrorCode>(message.error().code()) : ErrorCode::kSystem;
    job.error = message.error().message();
  }
  return job;
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
    status.workers.push_back(worker);
  }
  status.memory_limit_bytes = message.memory_limit_bytes();
  status.memory_limit_source = message.memory_limit_source();
  status.memory_used_bytes = message.memory_used_bytes();
  status.memory_spare_bytes = message.memory_spare_bytes();
  status.arrays = message.arrays();
  status.jobs_queued = message.jobs_queued();
  status.jobs_running = message.jobs_running();
  status.jobs_ended = message.jobs_ended();
  status.chunks_done = message.chunks_done();
  status.sessions = message.sessions();
  status.uptime_seconds = message.uptime_seconds();
  return status;
}

void to_wire(const Operation& operation, wire::SubmitJob& message) {
  std::visit(OperationWriter{message}, operation);
}

}  // namespace parcompute
