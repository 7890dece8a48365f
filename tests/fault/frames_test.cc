// Broken frames in great numbers, over many connections, to a server that others use.
#include <fcntl.h>

#include <algorithm>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>

#include "tests/fault/campaign.h"
#include "tests/fault/job_mix.h"
#include "tests/support/npy_bytes.h"
#include "tests/support/raw_client.h"

namespace parcompute::testing {
namespace {

using namespace std::chrono_literals;

constexpr const char* kName = "mutant";
constexpr std::size_t kVandals = 3;

// One of each kind but for Stop, each in order.
std::vector<std::string> honest_frames() {
  std::vector<std::string> frames{hello_request().SerializeAsString(), status_request(2).SerializeAsString()};
  const auto add = [&](auto&& fill) {
    wire::Request made = request(frames.size() + 1);
    fill(made);
    frames.push_back(made.SerializeAsString());
  };
  const auto name_it = [](wire::ArrayRef& reference) { reference.set_name(kName); };
  add([](wire::Request& made) {
    wire::SubmitJob& job = *made.mutable_submit_job();
    wire::Fill& fill = *job.mutable_operation()->mutable_fill();
    fill.mutable_spec()->set_dtype(static_cast<std::uint32_t>(DType::kInt64));
    fill.mutable_spec()->add_shape(1000);
    fill.set_how(wire::Fill::ARANGE);
    job.set_output_name(kName);
  });
  for (const char* const text : {"sum(a)", "a * 2 + where(a > 3, a, -a)", "max(abs(a - 1.5), axis=0)"}) {
    add([&](wire::Request& made) {
      wire::SubmitJob& job = *made.mutable_submit_job();
      job.mutable_operation()->mutable_evaluate()->set_expression(text);
      job.mutable_operation()->mutable_evaluate()->add_names()->push_back('a');
      name_it(*job.add_inputs());
      job.set_anonymous_output(true);
    });
  }
  add([&](wire::Request& made) {  // in place, in a view
    wire::SubmitJob& job = *made.mutable_submit_job();
    job.mutable_operation()->mutable_sort()->set_descending(true);
    for (wire::ArrayRef* const reference : {job.add_inputs(), job.mutable_existing_output()}) {
      name_it(*reference);
      reference->mutable_view()->set_dtype(static_cast<std::uint32_t>(DType::kInt64));
      reference->mutable_view()->add_shape(10);
      reference->mutable_view()->add_strides(16);
    }
  });
  add([&](wire::Request& made) {
    wire::SubmitJob& job = *made.mutable_submit_job();
    job.mutable_operation()->mutable_percentile()->add_q(50);
    name_it(*job.add_inputs());
  });
  add([](wire::Request& made) { made.mutable_submit_job()->mutable_operation()->mutable_nop()->set_blocks(50); });
  add([](wire::Request& made) { made.mutable_wait_job()->mutable_job()->set_request(3); });
  add([](wire::Request& made) { made.mutable_get_job()->mutable_job()->set_request(4); });
  add([](wire::Request& made) { made.mutable_cancel_job()->mutable_job()->set_request(5); });
  add([](wire::Request& made) { made.mutable_list_jobs(); });
  add([](wire::Request& made) { made.mutable_list_arrays(); });
  add([&](wire::Request& made) { name_it(*made.mutable_find_array()->mutable_array()); });
  add([&](wire::Request& made) { name_it(*made.mutable_accept_array()->mutable_array()); });
  add([&](wire::Request& made) {
    name_it(*made.mutable_set_mode()->mutable_array());
    made.mutable_set_mode()->set_mode(wire::ArrayInfo::GROUP_READ);
  });
  add([](wire::Request& made) {
    wire::AttachArray& attach = *made.mutable_attach_array();
    attach.mutable_spec()->set_dtype(static_cast<std::uint32_t>(DType::kFloat64));
    attach.mutable_spec()->add_shape(100);
    attach.set_data_offset(128);
  });
  add([&](wire::Request& made) { name_it(*made.mutable_remove_array()->mutable_array()); });
  return frames;
}

std::string mutated(std::string bytes, const std::string& other, Dice& dice) {
  switch (below(dice, 6)) {
    case 0: break;
    case 1: bytes.resize(1 + below(dice, bytes.size())); break;
    case 2:
      bytes.resize(below(dice, bytes.size()));
      bytes.append(other, below(dice, other.size()));
      break;
    case 3: bytes += other; break;
    default:
      for (std::uint64_t flips = 1 + below(dice, 4); flips > 0; --flips) bytes[below(dice, bytes.size())] = static_cast<char>(dice());
  }
  if (bytes.empty()) bytes.push_back('\0');
  return bytes;
}

bool is_by_number(const wire::ArrayRef& reference) {
  return reference.which_case() == wire::ArrayRef::kId;
}

// What this user may well ask for, and what would spoil the others' day: to stop the server, to write or remove arrays by numbers that
// may be theirs, jobs that outlive their session.
bool is_fair(const std::string& bytes) {
  wire::Request request;
  if (!request.ParseFromString(bytes)) return true;
  const wire::SubmitJob& job = request.submit_job();
  const bool is_by_job_number = request.cancel_job().job().which_case() == wire::JobRef::kId;
  return !request.has_stop() && !job.detach() && !is_by_job_number && !is_by_number(job.existing_output()) && !is_by_number(request.remove_array().array()) &&
         !is_by_number(request.accept_array().array()) && !is_by_number(request.set_mode().array()) && !job.operation().has_mandelbrot() &&
         !job.operation().has_matmul();
}

class Frames : public Campaign {
 protected:
  // The vandals' arrays may take what memory there is: they are of the same user.
  bool is_explained(const Failure& failure) const override { return failure.code() == ErrorCode::kOverBudget; }

  // A connection: frames, an honest question now and then, and an end at any moment.
  void vandalize(CampaignClient& client, const std::vector<std::string>& frames, int file) {
    Dice& dice = client.dice();
    client.doing("connects");
    RawClient raw(socket());
    if (!one_in(dice, 20)) raw.greet();
    const auto any = [&]() -> const std::string& { return frames[below(dice, frames.size())]; };
    for (std::uint64_t question = std::uint64_t{1} << 40, count = 40 + below(dice, 160); count > 0 && !is_dismissed(); --count) {
      const std::string bytes = mutated(any(), any(), dice);
      if (!is_fair(bytes)) continue;
      client.doing("sends a frame");
      if (!raw.send(bytes, one_in(dice, 5) ? std::span<const int>(&file, 1) : std::span<const int>())) return;
      ++tallies_.faults;
      if (count % 16 != 0) continue;
      client.doing("waits for an answer, or the end");
      if (!raw.send(status_request(++question))) return;
      while (const auto reply = raw.receive())
        if (reply->request_id() == question) break;
    }
    if (one_in(dice, 2)) raw.close();
  }
};

TEST_F(Frames, ThatAreBrokenSpoilNobodysResults) {
  google::protobuf::SetLogHandler(nullptr);  // of what is broken there are words enough
  const JobMix mix;
  start(2, 256 * kMebibyte);
  std::set<std::string> ours;
  {
    auto session = connect();
    JobMix::make_operands(session);
    mix.run_all(session);
    for (const ArrayInfo& info : session.list()) ours.insert(info.name);
  }
  const std::string path = directory() / "file.npy";
  write_file(path, npy_file(1, "<f8", false, "(100,)", std::string(800, '\1')));
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(file);
  remember_rest();
  const std::vector<std::string> frames = honest_frames();
  employ(kVandals + 1, [&](CampaignClient& client) {
    if (client.number() > 0) return vandalize(client, frames, file.get());
    for (int i = 0; i < 20 && !is_dismissed(); ++i) mix.run_one(client);
  });
  least_jobs_ = kSanitized ? 5u : 20u;
  while (goes_on(tallies_.faults, kSanitized ? 3'000 : 30'000)) pause(20ms);
  dismiss();
  if (!holds_within(30s, [&] { return status().jobs_running + status().jobs_queued == 0; })) wrong("jobs of broken frames stay");
  {
    auto session = connect();
    for (const ArrayInfo& info : session.list())
      if (!ours.contains(info.name)) session.remove(info.name);
  }
  expect_rest();
  EXPECT_GT(tallies_.jobs, least_jobs_);
}

}  // namespace
}  // namespace parcompute::testing
