// Requests: the table of what a client may ask for, and the handlers.
#pragma once

#include <span>
#include <string_view>

#include "common/base/error.h"
#include "proto/parcompute.pb.h"
#include "server/core/array_keeper.h"
#include "server/core/job_control.h"
#include "server/core/state.h"

namespace parcompute::server {

// A descriptor that came with a request, as server/io found it. The segment id is the core's to use or to drop.
struct ReceivedFile {
  SegmentId segment;
  bool is_regular = false;
  bool is_readable = false;
  bool is_writable = false;
  std::uint64_t size = 0;  // bytes
  FileIdentity identity{};
};

class Requests {
 public:
  Requests(State& state, Effects& effects, ArrayKeeper& arrays, JobControl& jobs)
      : state_(state), effects_(effects), arrays_(arrays), jobs_(jobs) {}

  // Serves one request, or answers why not. Every file ends up used or dropped.
  void serve(Session& session, const wire::Request& request, std::span<const ReceivedFile> files);

  struct Call {
    Session& session;
    const wire::Request& request;
    const ReceivedFile* file;  // where the row asks for one
  };
  struct Row {
    wire::Request::BodyCase body;
    std::string_view name;
    SessionState state;  // in which it may come
    bool takes_file;
    Result<void> (Requests::*serve)(const Call& call);
  };
  static std::span<const Row> table();

 private:
  Result<void> hello(const Call& call);
  Result<void> submit_job(const Call& call);
  Result<void> wait_job(const Call& call);
  Result<void> get_job(const Call& call);
  Result<void> list_jobs(const Call& call);
  Result<void> cancel_job(const Call& call);
  Result<void> explain_job(const Call& call);
  Result<void> find_array(const Call& call);
  Result<void> list_arrays(const Call& call);
  Result<void> attach_array(const Call& call);
  Result<void> remove_array(const Call& call);
  Result<void> accept_array(const Call& call);
  Result<void> set_mode(const Call& call);
  Result<void> get_status(const Call& call);
  Result<void> stop(const Call& call);

  Result<void> dispatch(Session& session, const wire::Request& request, std::span<const ReceivedFile> files);
  Result<const JobSummary*> find_job(const Session& session, const wire::JobRef& reference) const;
  void describe_for(const Session& session, const Array& array, wire::ArrayInfo& message) const;
  void reply(const Call& call, wire::Reply& reply, HandedSegment handed = {});

  State& state_;
  Effects& effects_;
  ArrayKeeper& arrays_;
  JobControl& jobs_;
};

}  // namespace parcompute::server
