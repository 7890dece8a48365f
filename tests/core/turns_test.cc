// Jobs that write into arrays that exist: whose turn it is, and what becomes of the others where one does not end well.
#include <gmock/gmock.h>

#include "tests/core/turns_fixture.h"

namespace parcompute::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(TurnsTest, AReaderComesAfterTheWriter) {
  create("a");
  const JobId writer = submit(add_one("a"));
  const JobId reader = submit(sum("a"));
  EXPECT_EQ(state(reader), JobState::kQueued);
  step_through(writer);
  EXPECT_THAT(handed_out(), ElementsAre(reader));
  complete_everything();
  EXPECT_EQ(state(reader), JobState::kDone);
}

TEST_F(TurnsTest, AWriterComesAfterItsReaders) {
  create("a");
  const JobId one = submit(sum("a")), two = submit(sum("a"));
  const JobId writer = submit(overwrite("a"));
  EXPECT_EQ(state(one), JobState::kRunning);
  EXPECT_EQ(state(two), JobState::kRunning) << "readers do not wait for one another";
  step_through(one);
  EXPECT_EQ(state(writer), JobState::kQueued);
  step_through(two);
  EXPECT_EQ(state(writer), JobState::kRunning);
  complete_everything();
  EXPECT_EQ(state(writer), JobState::kDone);
}

TEST_F(TurnsTest, WritersTakeTurns) {
  create("a");
  const JobId one = submit(overwrite("a")), two = submit(overwrite("a"));
  EXPECT_EQ(state(two), JobState::kQueued);
  step_through(one);
  EXPECT_THAT(handed_out(), ElementsAre(two));
  complete_everything();
}

TEST_F(TurnsTest, AJobThatReadsWhatItWritesDoesNotWaitForItself) {
  create("a");
  create("b");
  const JobId id = submit(into("a", "a + b * a", {"a", "b"}));
  EXPECT_EQ(state(id), JobState::kRunning);
  complete_everything();
  EXPECT_EQ(state(id), JobState::kDone);
  EXPECT_EQ(array("a").users, 0u);
  EXPECT_TRUE(array("a").readers.empty());
  EXPECT_TRUE(array("a").writers.empty());
}

TEST_F(TurnsTest, AChainInPlaceRunsOneByOneInOrder) {
  create("a");
  std::vector<JobId> chain;
  for (int i = 0; i < 100; ++i) chain.push_back(submit(add_one("a")));
  std::vector<JobId> order;
  while (!effects.work.empty()) {
    const auto out = handed_out();
    ASSERT_EQ(out.size(), 1u);
    if (order.empty() || order.back() != out.front()) order.push_back(out.front());
    step();
  }
  EXPECT_EQ(order, chain);
  for (const JobId id : chain) EXPECT_EQ(state(id), JobState::kDone);
  EXPECT_EQ(state("a"), ArrayState::kWhole);
}

TEST_F(TurnsTest, WithoutItsWaitingWriterTheNextOneStillWaitsForTheFirst) {
  create("a");
  const JobId running = submit(add_one("a"));
  const JobId gone = submit(add_one("a"));
  cancel(gone);
  EXPECT_EQ(state(gone), JobState::kCancelled);
  EXPECT_EQ(state("a"), ArrayState::kMaking) << "the first one writes it still";
  const JobId writer = submit(add_one("a")), reader = submit(sum("a"));
  EXPECT_EQ(state(writer), JobState::kQueued);
  EXPECT_EQ(state(reader), JobState::kQueued);
  step_through(running);
  EXPECT_EQ(state(writer), JobState::kRunning);
  complete_everything();
  EXPECT_EQ(state(reader), JobState::kDone);
  EXPECT_EQ(state("a"), ArrayState::kWhole);
}

TEST_F(TurnsTest, WithoutItsWaitingWriterTheNextOneStillWaitsForItsReaders) {
  create("a");
  const JobId reader = submit(sum("a"));
  const JobId gone = submit(add_one("a")), also_gone = submit(add_one("a"));
  cancel(gone);
  EXPECT_EQ(state(also_gone), JobState::kCancelled);
  EXPECT_THAT(why(also_gone), HasSubstr(fmt::format("job {}, which was making one of its operands, did not succeed", gone.value)));
  const JobId writer = submit(add_one("a"));
  EXPECT_EQ(state(writer), JobState::kQueued);
  step_through(reader);
  EXPECT_EQ(state(writer), JobState::kRunning);
  complete_everything();
}

TEST_F(TurnsTest, ACancelledReaderIsNotWaitedFor) {
  create("a");
  const JobId first = submit(add_one("a"));
  const JobId reader = submit(sum("a")), writer = submit(add_one("a"));
  cancel(reader);
  EXPECT_EQ(state(writer), JobState::kQueued);
  step_through(first);
  EXPECT_EQ(state(writer), JobState::kRunning);
  complete_everything();
  EXPECT_EQ(state(writer), JobState::kDone);
}

TEST_F(TurnsTest, AFailedWriterTakesThoseBehindItAlong) {
  create("a");
  const JobId writer = submit(reverse("a"));
  const JobId reader = submit(sum("a")), next = submit(overwrite("a")), last = submit(sum("a"));
  step();
  fail_step("the block went wrong");
  EXPECT_EQ(state(writer), JobState::kFailed);
  for (const JobId id : {reader, next, last}) {
    EXPECT_EQ(state(id), JobState::kCancelled);
    EXPECT_THAT(why(id), HasSubstr("did not succeed"));
  }
  EXPECT_EQ(state("a"), ArrayState::kIncomplete);
  EXPECT_FALSE(header_is_complete("a"));
  EXPECT_THAT(refusal(sum("a"), ErrorCode::kBadData), HasSubstr("'a' is incomplete"));
  EXPECT_EQ(array("a").users, 0u);
}

TEST_F(TurnsTest, AFailedReaderCancelsNobody) {
  create("a");
  const JobId reader = submit(sum("a")), writer = submit(add_one("a"));
  fail_step("bad");
  EXPECT_EQ(state(reader), JobState::kFailed);
  EXPECT_EQ(state(writer), JobState::kRunning);
  complete_everything();
  EXPECT_EQ(state(writer), JobState::kDone);
}

TEST_F(TurnsTest, AWriterBehindAMakerThatFailsGoesWithIt) {
  const JobId maker = submit(arange("a", {8}));
  const JobId writer = submit(add_one("a")), second = submit(add_one("a"));
  EXPECT_EQ(state(writer), JobState::kQueued);
  fail_step("bad");
  EXPECT_EQ(state(maker), JobState::kFailed);
  EXPECT_EQ(state(writer), JobState::kCancelled);
  EXPECT_EQ(state(second), JobState::kCancelled);
  EXPECT_TRUE(core->state().arrays.all().empty());
  EXPECT_TRUE(effects.segments.empty());
  EXPECT_EQ(core->state().memory.bytes(MemoryState::kUsed), 0u);
}

TEST_F(TurnsTest, ACancelledWriterLeavesTheMakerAlone) {
  const JobId maker = submit(arange("a", {8}));
  const JobId writer = submit(add_one("a"));
  cancel(writer);
  EXPECT_EQ(state("a"), ArrayState::kMaking);
  EXPECT_FALSE(header_is_complete("a"));
  complete_everything();
  EXPECT_EQ(state(maker), JobState::kDone);
  EXPECT_EQ(state("a"), ArrayState::kWhole);
  EXPECT_TRUE(header_is_complete("a"));
}

TEST_F(TurnsTest, WhoWaitsSaysForWhat) {
  create("a");
  const JobId reader = submit(sum("a")), writer = submit(add_one("a")), next = submit(sum("a"));
  const auto waiting_for = [&](JobId id) {
    wire::Request get;
    get.mutable_get_job()->mutable_job()->set_id(id.value);
    return ask(session, get).job_described().job().waiting_for();
  };
  EXPECT_EQ(waiting_for(writer), fmt::format("job {}, which is using what it writes to", reader.value));
  EXPECT_EQ(waiting_for(next), fmt::format("job {}, which is making one of its operands", writer.value));
  complete_everything();
}

// ---- arrays that go, and sessions

TEST_F(TurnsTest, AnArrayRemovedWhileItsWriterWaitsIsWrittenAndGoes) {
  create("a");
  const SegmentId segment = array("a").segment;
  const JobId reader = submit(sum("a")), writer = submit(add_one("a"));
  EXPECT_TRUE(ask(session, remove("a")).has_done());
  EXPECT_TRUE(effects.segments.at(segment).name.empty());
  create("a", 16);  // the name is free
  step_through(reader);
  complete_everything();
  EXPECT_EQ(state(writer), JobState::kDone);
  EXPECT_FALSE(effects.segments.contains(segment));
  EXPECT_EQ(array("a").spec.shape, Dims{16});
  EXPECT_TRUE(header_is_complete("a"));
}

TEST_F(TurnsTest, AnArrayRemovedWhileItIsWrittenStaysNamelessUntilTheEnd) {
  create("a");
  const SegmentId segment = array("a").segment;
  const JobId writer = submit(reverse("a"));
  step();
  EXPECT_TRUE(ask(session, remove("a")).has_done());
  EXPECT_TRUE(effects.segments.at(segment).name.empty());
  EXPECT_FALSE(effects.segments.at(segment).complete);
  refusal(reverse("a"), ErrorCode::kNotFound);
  complete_everything();
  EXPECT_EQ(state(writer), JobState::kDone);
  EXPECT_TRUE(effects.segments.empty());
  EXPECT_EQ(core->state().memory.bytes(MemoryState::kUsed), 0u);
}

TEST_F(TurnsTest, AnAnonymousArrayGoesWithItsSessionAndTheLastJobThatWritesIt) {
  const SessionId other = open_session();
  const wire::Reply made = ask(other, zeros("", {8}));
  const std::uint64_t id = made.job_ended().output().id();
  wire::Request request = overwrite("");
  request.mutable_submit_job()->mutable_existing_output()->set_id(id);
  const JobId one = submit(request), two = submit(request);
  core->on_session_closed(other);
  EXPECT_EQ(state(two), JobState::kQueued);
  EXPECT_FALSE(effects.segments.empty());
  refusal(request, ErrorCode::kNotFound);
  complete_everything();
  EXPECT_EQ(state(one), JobState::kDone);
  EXPECT_EQ(state(two), JobState::kDone);
  EXPECT_TRUE(effects.segments.empty());
}

TEST_F(TurnsTest, AClosedSessionsJobsInALineGoAndTheOthersFollow) {
  create("a");
  const SessionId other = open_session();
  const JobId running = submit(add_one("a"));
  send(other, add_one("a"));
  const JobId behind = submit(sum("a"));
  core->on_session_closed(other);
  EXPECT_EQ(state(behind), JobState::kCancelled) << "it was to read what is not written now";
  const JobId next = submit(sum("a"));
  EXPECT_EQ(state(next), JobState::kQueued);
  complete_everything();
  EXPECT_EQ(state(running), JobState::kDone);
  EXPECT_EQ(state(next), JobState::kDone);
}

TEST_F(TurnsTest, ShuttingDownKeepsWhatNobodyHadBegunToWrite) {
  create("a");
  create("b");
  submit(sum("a"));
  submit(add_one("a"));
  submit(add_one("b"));
  effects.work.clear();
  core->shut_down();
  EXPECT_TRUE(header_is_complete("a"));
  EXPECT_TRUE(header_is_complete("b")) << "the phase that writes had not begun";
}

// ---- what is refused

TEST_F(TurnsTest, ReadOnlyFilesAreNotWritten) {
  attach("fixed", false);
  attach("open", true);
  EXPECT_THAT(refusal(overwrite("fixed"), ErrorCode::kNotPermitted), HasSubstr("'fixed' is read-only"));
  const JobId id = submit(overwrite("open"));
  complete_everything();
  EXPECT_EQ(state(id), JobState::kDone);
}

TEST_F(TurnsTest, OtherUsersArraysAreNotWritten) {
  create("a");
  const SessionId mallory = open_session(2000);
  EXPECT_THAT(refusal(mallory, overwrite("a"), ErrorCode::kNotPermitted), HasSubstr("belongs to uid 1000"));
  const SessionId root = open_session(0);
  submit(root, overwrite("a"));
  complete_everything();
}

TEST_F(TurnsTest, ViewsAreCheckedWhereverTheyStand) {
  create("a");
  const auto refused_with = [&](const wire::ArraySpec& view, std::string_view words) {
    for (const bool is_output : {false, true}) {
      wire::Request request = into("a", is_output ? "1.0" : "a + 1.0", is_output ? std::vector<std::string>{} : std::vector<std::string>{"a"});
      wire::SubmitJob& message = *request.mutable_submit_job();
      *(is_output ? message.mutable_existing_output() : message.mutable_inputs(0))->mutable_view() = view;
      EXPECT_THAT(refusal(request, ErrorCode::kInvalidArgument), HasSubstr(std::string(words)));
    }
  };
  const auto view_of = [](const ArraySpec& spec) {
    wire::ArraySpec view;
    to_wire(spec, view);
    return view;
  };
  ArraySpec spec = first(8);
  spec.offset = 8;
  refused_with(view_of(spec), "a view of 'a' (float64, 8): an array of float64, 8 reaches outside its 64 bytes of data");
  spec.offset = 0;
  spec.strides = {-8};
  refused_with(view_of(spec), "reaches outside");
  spec.offset = std::numeric_limits<std::uint64_t>::max();
  refused_with(view_of(spec), "reaches outside");
  refused_with(view_of(first(9)), "reaches outside");
  spec = first(8);
  spec.strides = {std::numeric_limits<std::int64_t>::max()};
  refused_with(view_of(spec), "reaches outside");
  refused_with(view_of(*make_spec(DType::kInt64, {8})), "has the same dtype, not int64");
  wire::ArraySpec many = view_of(first(1));
  for (int i = 0; i < 40; ++i) {
    many.add_shape(1);
    many.add_strides(8);
  }
  refused_with(many, "dimensions");
  wire::ArraySpec negative = view_of(first(1));
  negative.set_shape(0, -1);
  refused_with(negative, "negative");
  wire::ArraySpec lame = view_of(first(4));
  lame.add_strides(8);
  refused_with(lame, "strides");
  wire::ArraySpec nameless = view_of(first(4));
  nameless.set_dtype(99);
  refused_with(nameless, "99 is no dtype number");
  EXPECT_TRUE(effects.work.empty());
  EXPECT_EQ(state("a"), ArrayState::kWhole);
}

TEST_F(TurnsTest, AnOutputWhoseElementsShareAPlaceIsRefused) {
  create("a");
  for (const auto& [shape, strides] : {std::pair{Dims{8}, Dims{0}}, {Dims{4, 4}, Dims{8, 8}}, {Dims{3, 3}, Dims{8, 16}}, {Dims{8}, Dims{4}}}) {
    wire::Request request = add_one("a");
    for (wire::ArrayRef* reference : {request.mutable_submit_job()->mutable_existing_output(), request.mutable_submit_job()->mutable_inputs(0)})
      to_wire({DType::kFloat64, shape, strides, 0}, *reference->mutable_view());
    EXPECT_THAT(refusal(request, ErrorCode::kInvalidArgument), HasSubstr("lie in the same place"));
  }
}

TEST_F(TurnsTest, AnOutputThatIsNamedMustBeThere) {
  EXPECT_THAT(refusal(overwrite("nowhere"), ErrorCode::kNotFound), HasSubstr("no array 'nowhere'"));
}

// ---- parts of an array

TEST_F(TurnsTest, JobsThatWritePartsThatAreApartRunTogether) {
  create("a");
  const JobId left = submit(overwrite_part("a", part(0, 4))), right = submit(overwrite_part("a", part(4, 4)));
  EXPECT_EQ(state(left), JobState::kRunning);
  EXPECT_EQ(state(right), JobState::kRunning);
  const JobId whole = submit(sum("a")), across = submit(overwrite_part("a", part(3, 2)));
  EXPECT_EQ(state(whole), JobState::kQueued);
  EXPECT_EQ(state(across), JobState::kQueued);
  step();
  EXPECT_EQ(state(right), JobState::kRunning);
  EXPECT_EQ(state("a"), ArrayState::kMaking);
  EXPECT_FALSE(header_is_complete("a"));
  step();
  EXPECT_EQ(state("a"), ArrayState::kWhole);
  EXPECT_EQ(state(whole), JobState::kRunning);
  EXPECT_EQ(state(across), JobState::kQueued) << "what it writes is being read";
  complete_everything();
  EXPECT_EQ(state(across), JobState::kDone);
  EXPECT_EQ(state("a"), ArrayState::kWhole);
}

TEST_F(TurnsTest, EvenAndOddElementsAreApart) {
  create("a");
  const JobId even = submit(overwrite_part("a", part(0, 4, 2))), odd = submit(overwrite_part("a", part(1, 4, 2))), third = submit(overwrite_part("a", part(0, 3, 3)));
  EXPECT_EQ(state(even), JobState::kRunning);
  EXPECT_EQ(state(odd), JobState::kRunning);
  EXPECT_EQ(state(third), JobState::kQueued) << "elements 0 and 3";
  EXPECT_EQ(core->state().jobs.live().at(third)->waits_for, (std::set<JobId>{even, odd}));
  complete_everything();
}

TEST_F(TurnsTest, AReaderOfAnotherPartDoesNotWaitForTheWriter) {
  create("a");
  const JobId writer = submit(overwrite_part("a", part(0, 4))), reader = submit(sum_of_part("a", part(4, 4)));
  EXPECT_EQ(state(reader), JobState::kRunning);
  const JobId same = submit(sum_of_part("a", part(3, 4))), behind = submit(overwrite_part("a", part(4, 1)));
  EXPECT_EQ(state(same), JobState::kQueued);
  EXPECT_EQ(core->state().jobs.live().at(behind)->waits_for, (std::set<JobId>{reader, same}));
  EXPECT_EQ(state(writer), JobState::kRunning);
  complete_everything();
  EXPECT_EQ(state(behind), JobState::kDone);
}

TEST_F(TurnsTest, APartThatWasCutOffLeavesTheArrayIncompleteWhenTheOthersHaveEnded) {
  create("a");
  const JobId left = submit(overwrite_part("a", part(0, 4))), right = submit(overwrite_part("a", part(4, 4)));
  fail_step("no luck");
  EXPECT_EQ(state(left), JobState::kFailed);
  EXPECT_EQ(state("a"), ArrayState::kMaking) << "the other part is still written";
  // It is apart from what is written, but of an array that will not be whole.
  const JobId reader = submit(sum_of_part("a", part(0, 2)));
  EXPECT_EQ(state(reader), JobState::kCancelled);
  EXPECT_THAT(why(reader), ::testing::HasSubstr("'a' is incomplete still"));
  step();
  EXPECT_EQ(state(right), JobState::kDone);
  EXPECT_EQ(state("a"), ArrayState::kIncomplete);
  EXPECT_FALSE(header_is_complete("a"));
  submit(overwrite("a"));
  complete_everything();
  EXPECT_EQ(state("a"), ArrayState::kWhole);
}

TEST_F(TurnsTest, PartsOfAnIncompleteArrayDoNotMakeItWhole) {
  adopt_incomplete("a");
  submit(overwrite_part("a", part(0, 4)));
  submit(overwrite_part("a", part(4, 4)));
  complete_everything();
  EXPECT_EQ(state("a"), ArrayState::kIncomplete);
}

TEST_F(TurnsTest, OfTwoWritersOnlyTheOneInTheWayCancelsWhoComesBehind) {
  create("a");
  const JobId left = submit(overwrite_part("a", part(0, 4))), right = submit(overwrite_part("a", part(4, 4)));
  const JobId of_left = submit(sum_of_part("a", part(0, 4))), behind_right = submit(overwrite_part("a", part(6, 2)));
  fail_step("no luck");
  EXPECT_EQ(state(left), JobState::kFailed);
  EXPECT_EQ(state(of_left), JobState::kCancelled);
  EXPECT_EQ(state(behind_right), JobState::kQueued);
  complete_everything();
  EXPECT_EQ(state(right), JobState::kDone);
  EXPECT_EQ(state(behind_right), JobState::kDone);
}

// Above some number they are not compared any more: they run one after the other, and all of them run.
TEST_F(TurnsTest, ThousandsOfWritersOfPartsRunInOrder) {
  constexpr std::int64_t kWriters = 3000;
  create("a", kWriters);
  std::vector<JobId> writers;
  for (std::int64_t i = 0; i < kWriters; ++i) {
    writers.push_back(submit(overwrite_part("a", part(i, 1))));
    if (i % 3 == 0) submit(sum_of_part("a", part(0, 10)));
  }
  std::size_t most = 0;
  for (const auto& [id, job] : core->state().jobs.live()) most = std::max(most, job->waits_for.size());
  EXPECT_LE(most, 1400u);
  EXPECT_EQ(state(writers[1]), JobState::kQueued) << "somebody reads what it writes";
  EXPECT_EQ(state(writers[600]), JobState::kRunning);
  EXPECT_EQ(state(writers.back()), JobState::kQueued);
  const JobId last = submit(sum("a"));
  complete_everything();
  EXPECT_EQ(state(last), JobState::kDone);
  EXPECT_EQ(state("a"), ArrayState::kWhole);
}

}  // namespace
}  // namespace parcompute::server
