// CoreTest: a reactor with workers that are up and sessions that have greeted, and verbs to speak to it.
#pragma once

#include <memory>

#include "proto/version.h"
#include "tests/core/recorder.h"

namespace parcompute::server {

class CoreTest : public ::testing::Test {
 protected:
  static constexpr uid_t kOwner = 1000;
  static constexpr std::uint64_t kMemory = std::uint64_t{1} << 32;

  void start(unsigned workers, std::uint64_t memory = kMemory) {
    ReactorOptions options;
    options.identity.uid = kOwner;
    options.placement.workers = workers;
    options.memory_limit_bytes = memory;
    options.memory_limit_source = "the test";
    start_with(options);
  }
  void start_with(const ReactorOptions& options) {
    const unsigned workers = options.placement.workers;
    core = std::make_unique<Reactor>(options, effects);
    core->start_workers();
    EXPECT_EQ(Recorder::take(effects.forked).size(), workers);
    for (WorkerIndex index = 0; index < workers; ++index) {
      core->on_worker_forked(index, static_cast<pid_t>(100 + index));
      core->on_worker_ready(index);
    }
  }

  SessionId open_session(uid_t uid = kOwner) {
    const SessionId id{++last_session};
    core->on_session_opened(id, 1, uid);
    wire::Request hello;
    hello.mutable_hello()->set_min_version(kMinWireVersion);
    hello.mutable_hello()->set_max_version(kWireVersion);
    EXPECT_TRUE(ask(id, hello).has_welcome());
    return id;
  }

  // Sends a request; its id is unique.
  std::uint64_t send(SessionId session, wire::Request request, std::span<const ReceivedFile> files = {}) {
    request.set_id(++last_request);
    core->on_request(session, request, files);
    return last_request;
  }
  // Sends it and takes the one reply that follows at once.
  wire::Reply ask(SessionId session, const wire::Request& request, std::span<const ReceivedFile> files = {}) {
    const std::uint64_t id = send(session, request, files);
    const wire::Reply reply = effects.take_reply();
    EXPECT_EQ(reply.request_id(), id);
    return reply;
  }

  static wire::Request nop(std::uint64_t blocks, std::uint64_t chunk = 0) {
    wire::Request request;
    request.mutable_submit_job()->mutable_operation()->mutable_nop()->set_blocks(blocks);
    request.mutable_submit_job()->set_chunk_blocks(chunk);
    return request;
  }
  static wire::Request zeros(const std::string& name, const Dims& shape, DType dtype = DType::kFloat64) {
    wire::Request request;
    wire::SubmitJob& submit = *request.mutable_submit_job();
    to_wire(*make_spec(dtype, shape), *submit.mutable_operation()->mutable_fill()->mutable_spec());
    if (name.empty()) submit.set_anonymous_output(true);
    else submit.set_output_name(name);
    return request;
  }
  static wire::Request arange(const std::string& name, const Dims& shape) {
    wire::Request request = zeros(name, shape);
    request.mutable_submit_job()->mutable_operation()->mutable_fill()->set_how(wire::Fill::ARANGE);
    return request;
  }
  // Of one operand.
  static void set_sum(wire::Operation& operation) {
    operation.mutable_evaluate()->set_expression("sum(a)");
    operation.mutable_evaluate()->add_names()->push_back('a');  // g++ 12 takes add_names("a") for an overflow
  }
  static wire::Request sum(const std::string& name) {
    wire::Request request;
    set_sum(*request.mutable_submit_job()->mutable_operation());
    request.mutable_submit_job()->add_inputs()->set_name(name);
    return request;
  }
  static wire::Request remove(const std::string& name) {
    wire::Request request;
    request.mutable_remove_array()->mutable_array()->set_name(name);
    return request;
  }

  // A worker answers all chunks of a packet, in order.
  void complete(const Recorder::Work& packet, std::uint64_t elapsed_ns = 1000) {
    std::vector<ChunkCompletion> completions;
    for (const ChunkDescriptor& chunk : packet.chunks) {
      ChunkCompletion completion{};
      completion.lease = chunk.lease;
      completion.elapsed_ns = elapsed_ns;
      completions.push_back(completion);
    }
    core->on_completions(packet.worker, completions);
  }
  // The same of one that has time for so many blocks of the packet.
  void cut(const Recorder::Work& packet, std::uint64_t blocks, std::uint64_t ns_of_block = 1'000'000) {
    std::vector<ChunkCompletion> completions;
    for (const ChunkDescriptor& chunk : packet.chunks) {
      const std::uint64_t done = std::min(blocks, chunk.block_count);
      blocks -= done;
      ChunkCompletion completion{};
      completion.lease = chunk.lease;
      completion.elapsed_ns = done * ns_of_block;
      completion.blocks_left = static_cast<std::uint32_t>(chunk.block_count - done);
      completions.push_back(completion);
    }
    core->on_completions(packet.worker, completions);
  }
  // Answers whatever is handed out until nothing is.
  void complete_everything() {
    while (!effects.work.empty())
      for (const Recorder::Work& packet : Recorder::take(effects.work)) complete(packet);
  }

  Recorder effects;
  std::unique_ptr<Reactor> core;
  std::uint64_t last_session = 0;
  std::uint64_t last_request = 0;
};

}  // namespace parcompute::server
