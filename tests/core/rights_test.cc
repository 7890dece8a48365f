// Who may do what with an array: the rule as a table, and each request held to it.
#include "server/core/rights.h"

#include <gmock/gmock.h>

#include "tests/core/core_fixture.h"

namespace parcompute::server {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Rights, AreAsThisTableSays) {
  constexpr uid_t kRoot = 0, kServer = 100, kOwner = 1000, kOther = 2000;
  struct Row {
    uid_t asking;
    ArrayMode mode;
    bool read, write, own;
  };
  constexpr auto kPrivate = ArrayMode::kPrivate, kGroupRead = ArrayMode::kGroupRead, kGroupWrite = ArrayMode::kGroupWrite;
  constexpr std::array kTable{
      Row{kOwner, kPrivate, true, true, true},      Row{kOwner, kGroupRead, true, true, true},  Row{kOwner, kGroupWrite, true, true, true},
      Row{kRoot, kPrivate, true, true, true},       Row{kRoot, kGroupRead, true, true, true},   Row{kRoot, kGroupWrite, true, true, true},
      Row{kServer, kPrivate, true, true, true},     Row{kServer, kGroupRead, true, true, true}, Row{kServer, kGroupWrite, true, true, true},
      Row{kOther, kPrivate, false, false, false},   Row{kOther, kGroupRead, true, false, false}, Row{kOther, kGroupWrite, true, true, false},
  };
  for (const Row& row : kTable) {
    EXPECT_EQ(is_allowed(kServer, row.asking, kOwner, row.mode, Right::kRead), row.read) << row.asking << " " << name(row.mode);
    EXPECT_EQ(is_allowed(kServer, row.asking, kOwner, row.mode, Right::kWrite), row.write) << row.asking << " " << name(row.mode);
    EXPECT_EQ(is_allowed(kServer, row.asking, kOwner, row.mode, Right::kOwn), row.own) << row.asking << " " << name(row.mode);
  }
}

class RightsTest : public CoreTest {
 protected:
  static constexpr uid_t kAlice = 2000, kBob = 3000;

  void SetUp() override {
    start(1);
    alice = open_session(kAlice);
    bob = open_session(kBob);
    send(alice, arange("a", {10}));
    complete_everything();
    effects.take_reply();
  }

  static wire::Request set_mode(const std::string& name, int mode) {
    wire::Request request;
    request.mutable_set_mode()->mutable_array()->set_name(name);
    request.mutable_set_mode()->set_mode(static_cast<wire::ArrayInfo::Mode>(mode));
    return request;
  }
  static wire::Request find(const std::string& name) {
    wire::Request request;
    request.mutable_find_array()->mutable_array()->set_name(name);
    return request;
  }
  static wire::Request add_one_to(const std::string& name) {
    wire::Request request;
    wire::SubmitJob& submit = *request.mutable_submit_job();
    submit.mutable_operation()->mutable_evaluate()->set_expression("a + 1");
    submit.mutable_operation()->mutable_evaluate()->add_names()->push_back('a');
    submit.add_inputs()->set_name(name);
    submit.mutable_existing_output()->set_name(name);
    return request;
  }
  std::string refusal(SessionId session, const wire::Request& request, ErrorCode code = ErrorCode::kNotPermitted) {
    const wire::Reply reply = ask(session, request);
    EXPECT_TRUE(reply.has_failed());
    EXPECT_EQ(reply.failed().code(), static_cast<std::uint32_t>(code)) << reply.failed().message();
    return reply.failed().message();
  }
  // The end of a job that is submitted now.
  bool succeeds(SessionId session, const wire::Request& request) {
    send(session, request);
    complete_everything();
    return effects.take_reply().has_job_ended();
  }
  std::vector<std::string> names_for(SessionId session) {
    wire::Request request;
    request.mutable_list_arrays();
    const wire::Reply reply = ask(session, request);
    std::vector<std::string> names;
    for (const wire::ArrayInfo& array : reply.arrays_listed().arrays()) names.push_back(array.name());
    return names;
  }
  Recorder::Reply found(SessionId session) {
    send(session, find("a"));
    auto replies = Recorder::take(effects.replies);
    EXPECT_EQ(replies.size(), 1u);
    return replies.front();
  }

  SessionId alice, bob;
};

TEST_F(RightsTest, OfAPrivateArrayOthersSeeAndDoNothing) {
  EXPECT_THAT(names_for(bob), ElementsAre());
  for (const wire::Request& request : {find("a"), sum("a"), add_one_to("a")})
    EXPECT_THAT(refusal(bob, request), AllOf(HasSubstr("'a' belongs to uid 2000, and you are uid 3000"), HasSubstr("mode is private"), HasSubstr("chmod group-read a")));
  EXPECT_THAT(refusal(bob, remove("a")), HasSubstr("its owner alone may remove it"));
  EXPECT_THAT(refusal(bob, set_mode("a", 2)), HasSubstr("its owner alone"));
}

TEST_F(RightsTest, ToANameAreTheirsWhoHaveIt) {
  EXPECT_THAT(refusal(bob, arange("a", {3}), ErrorCode::kAlreadyExists),
              AllOf(HasSubstr("'a' is taken by an array of uid 2000, and you are uid 3000: choose another name"), ::testing::Not(HasSubstr("array rm"))));
  EXPECT_THAT(refusal(alice, arange("a", {3}), ErrorCode::kAlreadyExists), HasSubstr("array rm a"));
  EXPECT_THAT(refusal(open_session(0), arange("a", {3}), ErrorCode::kAlreadyExists), HasSubstr("array rm a"));
}

TEST_F(RightsTest, ToKnowWhoHasHowMuchAreEverybodys) {
  EXPECT_TRUE(succeeds(alice, sum("a")));
  wire::Request status;
  status.mutable_get_status();
  const wire::Reply reply = ask(bob, status);
  ASSERT_EQ(reply.status_reported().users_size(), 2);
  const wire::UserUse &most = reply.status_reported().users(0), &least = reply.status_reported().users(1);
  EXPECT_EQ(most.uid(), kAlice);
  EXPECT_EQ(most.memory_bytes(), reply.status_reported().memory_used_bytes());
  EXPECT_EQ(most.arrays(), 1u);
  EXPECT_EQ(most.sessions(), 1u);
  EXPECT_EQ(least.uid(), kBob);
  EXPECT_EQ(least.memory_bytes() + least.arrays() + least.jobs(), 0u);
  EXPECT_EQ(least.sessions(), 1u);
}

// Who has nothing but a removed array's memory is seen, too: that is what the others miss.
TEST_F(RightsTest, ToKnowWhoHoldsWhatWasRemovedIsEverybodys) {
  const std::uint64_t bytes = core->state().memory.bytes(MemoryState::kUsed);
  effects.custody_told = Custody::kHeld;
  ask(alice, remove("a"));
  core->on_session_closed(alice);
  wire::Request status;
  status.mutable_get_status();
  const wire::Reply reply = ask(bob, status);
  ASSERT_EQ(reply.status_reported().users_size(), 2);
  EXPECT_EQ(reply.status_reported().users(0).uid(), kAlice);
  EXPECT_EQ(reply.status_reported().users(0).memory_bytes(), bytes);
  EXPECT_EQ(reply.status_reported().users(0).arrays() + reply.status_reported().users(0).sessions(), 0u);
}

TEST_F(RightsTest, WhatTheGroupMayReadIsHandedOutReadOnlyAndNotWritten) {
  EXPECT_TRUE(ask(alice, set_mode("a", 1)).has_done());
  EXPECT_THAT(names_for(bob), ElementsAre("a"));
  const Recorder::Reply bobs = found(bob), alices = found(alice);
  EXPECT_FALSE(bobs.writable);
  EXPECT_FALSE(bobs.message.array_found().array().writable());
  EXPECT_EQ(bobs.message.array_found().array().mode(), wire::ArrayInfo::GROUP_READ);
  EXPECT_EQ(bobs.message.array_found().array().owner_uid(), kAlice);
  EXPECT_TRUE(alices.writable);
  EXPECT_TRUE(alices.message.array_found().array().writable());
  EXPECT_TRUE(succeeds(bob, sum("a")));
  EXPECT_THAT(refusal(bob, add_one_to("a")), AllOf(HasSubstr("mode is group-read"), HasSubstr("read it, not write it"), HasSubstr("chmod group-write a")));
  EXPECT_THAT(refusal(bob, remove("a")), HasSubstr("mode, which is group-read"));
}

TEST_F(RightsTest, WhatTheGroupMayWriteIsStillItsOwnersToRemove) {
  EXPECT_TRUE(ask(alice, set_mode("a", 2)).has_done());
  EXPECT_TRUE(found(bob).writable);
  EXPECT_TRUE(succeeds(bob, add_one_to("a")));
  refusal(bob, remove("a"));
  refusal(bob, set_mode("a", 0));
  EXPECT_EQ(core->state().arrays.all().begin()->second.owner_uid, kAlice);
  EXPECT_TRUE(ask(alice, remove("a")).has_done());
}

TEST_F(RightsTest, AreTakenBack) {
  ask(alice, set_mode("a", 2));
  ask(alice, set_mode("a", 0));
  refusal(bob, find("a"));
  EXPECT_THAT(names_for(bob), ElementsAre());
}

TEST_F(RightsTest, RootAndTheServersOwnUserHaveAllOfThem) {
  for (const uid_t uid : {uid_t{0}, kOwner}) {
    const SessionId master = open_session(uid);
    EXPECT_TRUE(found(master).writable);
    EXPECT_TRUE(succeeds(master, add_one_to("a")));
    EXPECT_TRUE(ask(master, set_mode("a", 0)).has_done());
  }
}

TEST_F(RightsTest, AreInTheHeaderForTheNextServer) {
  ask(alice, set_mode("a", 1));
  const SegmentHeader header = effects.segments.begin()->second;
  EXPECT_EQ(header.mode, ArrayMode::kGroupRead);
  EXPECT_TRUE(header.complete);
  Recorder other;
  ReactorOptions options;
  options.memory_limit_bytes = kMemory;
  Reactor next(options, other);
  EXPECT_EQ(next.adopt_array(header, *other.create_segment(header, true)), "a");
  EXPECT_EQ(next.state().arrays.all().begin()->second.mode, ArrayMode::kGroupRead);
}

TEST_F(RightsTest, StayThroughAJobThatWritesTheArray) {
  ask(alice, set_mode("a", 1));
  EXPECT_TRUE(succeeds(alice, add_one_to("a")));
  EXPECT_EQ(effects.segments.begin()->second.mode, ArrayMode::kGroupRead);
}

TEST_F(RightsTest, ToAnotherUsersJobsAreNotGivenByItsOperands) {
  ask(alice, set_mode("a", 2));
  const std::uint64_t request = send(alice, sum("a"));
  wire::Request cancel;
  cancel.mutable_cancel_job()->mutable_job()->set_id(core->state().jobs.live().begin()->first.value);
  EXPECT_THAT(refusal(bob, cancel), HasSubstr("belongs to uid 2000"));
  complete_everything();
  EXPECT_EQ(effects.take_reply().request_id(), request);
}

TEST_F(RightsTest, OfAttachedFilesAreTheirOwn) {
  wire::Request attach;
  attach.mutable_attach_array()->set_name("f");
  attach.mutable_attach_array()->set_path("f.npy");
  to_wire(*make_spec(DType::kUint8, {10}), *attach.mutable_attach_array()->mutable_spec());
  const SegmentId file{99};
  effects.segments[file] = {};
  const ReceivedFile received{file, true, true, false, 10, {1, 1}};
  EXPECT_TRUE(ask(alice, attach, std::span(&received, 1)).has_array_found());
  EXPECT_THAT(refusal(alice, set_mode("f", 1), ErrorCode::kUnsupported), HasSubstr("attached file 'f.npy', whose own mode"));
  refusal(bob, find("f"));
}

TEST_F(RightsTest, ThatNobodyKnowsAreRefused) {
  EXPECT_THAT(refusal(alice, set_mode("a", 3), ErrorCode::kInvalidArgument), HasSubstr("3 is no mode"));
  EXPECT_THAT(refusal(alice, set_mode("nosuch", 1), ErrorCode::kNotFound), HasSubstr("nosuch"));
}

}  // namespace
}  // namespace parcompute::server
