#include "ports/linux/perf_event.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/hw_breakpoint.h>

#include <cerrno>
#include <ctime>

#include "ports/linux/perf_arch.h"
#include "ports/linux/privileges.h"

namespace trapline::linux_port {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr SlotRequest kSlot{RemoteAddress(0x404060), ByteCount{4}, Access::write};

// Of reads alone or writes alone.
std::uint32_t kind_asked_for(std::uint32_t kind) {
  return native_perf_architecture().tells_kinds ? kind : std::uint32_t{HW_BREAKPOINT_RW};
}

TEST(BreakpointAttributes, SayWhatIsWatchedAndHow) {
  const perf_event_attr attributes = breakpoint_attributes(kSlot, {});
  EXPECT_EQ(attributes.type, std::uint32_t{PERF_TYPE_BREAKPOINT});
  EXPECT_EQ(attributes.size, sizeof attributes);
  EXPECT_EQ(attributes.bp_addr, 0x404060U);
  EXPECT_EQ(attributes.bp_len, 4U);
  EXPECT_EQ(attributes.bp_type, kind_asked_for(HW_BREAKPOINT_W));
  EXPECT_EQ(attributes.sample_period, 1U);
  EXPECT_EQ(attributes.disabled, 1U);
  EXPECT_EQ(attributes.exclude_kernel, 0U);
  EXPECT_EQ(attributes.exclude_hv, 1U);
  EXPECT_EQ(attributes.sample_id_all, 1U);
  EXPECT_EQ(attributes.use_clockid, 1U);
  EXPECT_EQ(attributes.clockid, CLOCK_MONOTONIC);
  EXPECT_EQ(attributes.watermark, 1U);
  EXPECT_TRUE(is_decodable(layout_of(attributes)));
}

TEST(BreakpointAttributes, MapEveryAccess) {
  const auto type_of = [](Access access) {
    SlotRequest slot = kSlot;
    slot.access = access;
    return breakpoint_attributes(slot, {}).bp_type;
  };
  EXPECT_EQ(type_of(Access::read), kind_asked_for(HW_BREAKPOINT_R));
  EXPECT_EQ(type_of(Access::read_write), std::uint32_t{HW_BREAKPOINT_RW});
  EXPECT_EQ(type_of(Access::execute), std::uint32_t{HW_BREAKPOINT_X});
}

TEST(SigtrapAttributes, SignalTheThreadAndThoseItStarts) {
  const perf_event_attr attributes = sigtrap_attributes(kSlot, 0x1234567890abcdef);
  EXPECT_EQ(attributes.type, std::uint32_t{PERF_TYPE_BREAKPOINT});
  EXPECT_EQ(attributes.bp_addr, 0x404060U);
  EXPECT_EQ(attributes.sample_period, 1U);
  EXPECT_EQ(attributes.sample_type, 0U);
  EXPECT_EQ(attributes.sigtrap, 1U);
  EXPECT_EQ(attributes.sig_data, 0x1234567890abcdefU);
  EXPECT_EQ(attributes.exclude_kernel, 1U);
  EXPECT_EQ(attributes.inherit, 1U);
  EXPECT_EQ(attributes.inherit_thread, 1U);
  EXPECT_EQ(attributes.remove_on_exec, 1U);
}

TEST(BreakpointAttributes, InheritanceFollowsTheScope) {
  PerfEventOptions options;
  EXPECT_EQ(breakpoint_attributes(kSlot, options).inherit, 1U);
  EXPECT_EQ(breakpoint_attributes(kSlot, options).inherit_thread, 1U);
  EXPECT_EQ(breakpoint_attributes(kSlot, options).remove_on_exec, 1U);
  options.inheritance = Inheritance::threads_and_processes;
  EXPECT_EQ(breakpoint_attributes(kSlot, options).inherit, 1U);
  EXPECT_EQ(breakpoint_attributes(kSlot, options).inherit_thread, 0U);
  options.inheritance = Inheritance::none;
  EXPECT_EQ(breakpoint_attributes(kSlot, options).inherit, 0U);
  EXPECT_EQ(breakpoint_attributes(kSlot, options).inherit_thread, 0U);
  options.inheritance = Inheritance::threads;
  options.has_inherit_thread = false;
  EXPECT_EQ(breakpoint_attributes(kSlot, options).inherit, 1U);
  EXPECT_EQ(breakpoint_attributes(kSlot, options).inherit_thread, 0U);
  EXPECT_EQ(breakpoint_attributes(kSlot, options).remove_on_exec, 0U);
}

TEST(BreakpointAttributes, AskForTheStackInTheModeWanted) {
  PerfEventOptions options;
  options.stack = StackMode::none;
  EXPECT_EQ(breakpoint_attributes(kSlot, options).sample_type &
                (PERF_SAMPLE_CALLCHAIN | PERF_SAMPLE_STACK_USER),
            0U);
  options.stack = StackMode::frame_pointer;
  EXPECT_NE(breakpoint_attributes(kSlot, options).sample_type & PERF_SAMPLE_CALLCHAIN, 0U);
  options.stack = StackMode::dwarf;
  options.registers = false;
  options.dwarf_stack_bytes = ByteCount{1 << 20};
  const perf_event_attr dwarf = breakpoint_attributes(kSlot, options);
  EXPECT_EQ(dwarf.exclude_callchain_user, 1U);
  EXPECT_EQ(dwarf.sample_stack_user, 65528U) << "the kernel's limit";
  EXPECT_EQ(dwarf.sample_regs_user, native_perf_architecture().registers) << "unwinding needs them";
  EXPECT_TRUE(is_decodable(layout_of(dwarf)));
}

TEST(BreakpointAttributes, TakeTheTopOfTheStackBesideFramePointers) {
  PerfEventOptions options;
  const bool on_stack = native_perf_architecture().return_address_on_stack;
  EXPECT_EQ(breakpoint_attributes(kSlot, options).sample_stack_user, on_stack ? 8U : 0U);
  options.stack = StackMode::none;
  EXPECT_EQ(breakpoint_attributes(kSlot, options).sample_stack_user, 0U);
}

TEST(BreakpointAttributes, KeepTheUserInstructionPointerForSystemCalls) {
  PerfEventOptions options;
  options.stack = StackMode::none;
  options.registers = false;
  EXPECT_EQ(breakpoint_attributes(kSlot, options).sample_regs_user,
            std::uint64_t{1} << native_perf_architecture().instruction_pointer);
  options.kernel_accesses = false;
  EXPECT_EQ(breakpoint_attributes(kSlot, options).sample_regs_user, 0U);
  EXPECT_EQ(breakpoint_attributes(kSlot, options).exclude_kernel, 1U);
}

OpenContext context() {
  OpenContext known;
  known.pid = ProcessId{812};
  known.tid = ThreadId{815};
  known.slot = kSlot;
  known.slots = 2;
  known.paranoid = 2;
  return known;
}

TEST(ExplainOpenError, GivesEachErrnoItsCodeAndKeepsIt) {
  const std::vector<std::pair<int, ErrorCode>> expected = {
      {ENOSPC, ErrorCode::no_free_slot},      {EACCES, ErrorCode::permission_denied},
      {EPERM, ErrorCode::permission_denied},  {EMFILE, ErrorCode::limit_reached},
      {ENFILE, ErrorCode::limit_reached},     {ENOMEM, ErrorCode::limit_reached},
      {ESRCH, ErrorCode::no_such_process},    {ENOSYS, ErrorCode::not_supported},
      {EOPNOTSUPP, ErrorCode::not_supported}, {EINVAL, ErrorCode::bad_length},
      {EIO, ErrorCode::os_failure},
  };
  for (const auto& [error, code] : expected) {
    const Failure failure = explain_open_error(error, context());
    EXPECT_EQ(failure.error.code, code) << error;
    EXPECT_EQ(failure.error.os_errno, error);
    EXPECT_THAT(failure.message, Not(HasSubstr("\n")));
    EXPECT_GT(failure.message.size(), 40U) << "a sentence with the next step";
  }
}

TEST(ExplainOpenError, TellsASettingFromATargetOutOfReach) {
  OpenContext known = context();
  known.perf_works_on_oneself = false;
  known.paranoid = 3;
  EXPECT_THAT(explain_open_error(EACCES, known).message,
              HasSubstr("kernel.perf_event_paranoid is 3, which forbids perf events without "
                        "CAP_PERFMON"));
  EXPECT_THAT(explain_open_error(EACCES, known).message, HasSubstr(paranoid_obstacle(3)));
  known.paranoid = 2;
  EXPECT_THAT(explain_open_error(EPERM, known).message, HasSubstr("seccomp"));
  known.perf_works_on_oneself = true;
  EXPECT_THAT(explain_open_error(EACCES, known).message,
              HasSubstr("process 812 may not be inspected"));
}

TEST(ExplainOpenError, NamesWhatIsWrongWithTheRequest) {
  OpenContext known = context();
  EXPECT_THAT(explain_open_error(ENOSPC, known).message, HasSubstr("thread 815"));
  known.slot.address = RemoteAddress(0x404062);
  const Failure misaligned = explain_open_error(EINVAL, known);
  EXPECT_EQ(misaligned.error.code, ErrorCode::misaligned);
  EXPECT_THAT(misaligned.message, HasSubstr("4 bytes at 0x404062 for access 'w'"));
  known.slot.access = Access::read;
  EXPECT_EQ(explain_open_error(EINVAL, known).error.code, ErrorCode::access_unsupported);
}

TEST(PerfEvent, AThreadThatIsNotThereIsRefused) {
  const auto event = PerfEvent::open(breakpoint_attributes(kSlot, {}), ThreadId{0x7ffffffe}, {});
  ASSERT_FALSE(event.has_value());
  EXPECT_EQ(event.error(), ESRCH);
}

}  // namespace
}  // namespace trapline::linux_port
