#include "ports/linux/privileges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace trapline::linux_port {
namespace {

using ::testing::HasSubstr;

Privileges ordinary_user() {
  Privileges privileges;
  privileges.effective_uid = 1000;
  privileges.perf_event_paranoid = 2;
  return privileges;
}

std::uint64_t mask_of(Capability capability) {
  return std::uint64_t{1} << static_cast<unsigned>(capability);
}

TEST(Privileges, PerfIsOpenToAllUpToTwo) {
  Privileges privileges = ordinary_user();
  EXPECT_EQ(perf_obstacle(privileges), "");
  privileges.perf_event_paranoid = 3;
  EXPECT_THAT(perf_obstacle(privileges), HasSubstr("kernel.perf_event_paranoid is 3"));
  EXPECT_THAT(perf_obstacle(privileges),
              HasSubstr("sysctl kernel.perf_event_paranoid=2 (enough for one's own processes)"));
  privileges.effective_capabilities = mask_of(Capability::perfmon);
  EXPECT_EQ(perf_obstacle(privileges), "");
  privileges.effective_capabilities = mask_of(Capability::sys_admin);
  EXPECT_EQ(perf_obstacle(privileges), "");
}

TEST(Privileges, MissingPerfIsSaid) {
  Privileges privileges = ordinary_user();
  privileges.perf_event_paranoid.reset();
  EXPECT_THAT(perf_obstacle(privileges), HasSubstr("no perf events"));
}

TEST(Privileges, YamasScopesAreToldApart) {
  Privileges privileges = ordinary_user();
  EXPECT_EQ(ptrace_obstacle(privileges), "") << "no Yama";
  privileges.ptrace_scope = 0;
  EXPECT_EQ(ptrace_obstacle(privileges), "");
  privileges.ptrace_scope = 1;
  EXPECT_THAT(ptrace_obstacle(privileges), HasSubstr("allows -- CMD but not -p PID"));
  privileges.ptrace_scope = 2;
  EXPECT_THAT(ptrace_obstacle(privileges), HasSubstr("CAP_SYS_PTRACE"));
  privileges.effective_capabilities = mask_of(Capability::sys_ptrace);
  EXPECT_EQ(ptrace_obstacle(privileges), "");
  privileges.ptrace_scope = 3;
  EXPECT_THAT(ptrace_obstacle(privileges), HasSubstr("until a reboot"));
}

TEST(Privileges, ThisProcessIsDescribed) {
  const Privileges privileges = Privileges::of_this_process();
  EXPECT_EQ(privileges.effective_uid, ::geteuid());
  EXPECT_EQ(privileges.perf_event_paranoid.has_value(),
            ::access("/proc/sys/kernel/perf_event_paranoid", R_OK) == 0);
}

}  // namespace
}  // namespace trapline::linux_port
