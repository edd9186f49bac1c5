#include "ports/linux/uevent_message.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "trapline/base/cpu_set.h"

namespace trapline::linux_port {
namespace {

using namespace std::string_view_literals;

// From Linux 6.18 on an AMD machine; the list of features is shortened. It ends in a newline.
constexpr std::string_view kOffline =
    "offline@/devices/system/cpu/cpu1\0ACTION=offline\0DEVPATH=/devices/system/cpu/cpu1\0"
    "SUBSYSTEM=cpu\0MODALIAS=cpu:type:x86,ven0002fam001Amod0002:feature:,0000,0001\n\0"
    "SEQNUM=891\0"sv;
constexpr std::string_view kMadeUp =
    "online@/devices/system/cpu/cpu1\0ACTION=online\0DEVPATH=/devices/system/cpu/cpu1\0"
    "SUBSYSTEM=cpu\0SYNTH_UUID=0\0MODALIAS=cpu:type:x86\n\0SEQNUM=894\0"sv;
constexpr std::string_view kOtherSubsystem =
    "remove@/devices/virtual/cpuid/cpu1\0ACTION=remove\0DEVPATH=/devices/virtual/cpuid/cpu1\0"
    "SUBSYSTEM=cpuid\0MAJOR=203\0MINOR=1\0DEVNAME=cpu/1/cpuid\0SEQNUM=890\0"sv;

std::string message(std::string_view action, std::string_view device,
                    std::string_view subsystem = "cpu", std::string_view sequence = "7") {
  std::string text;
  text.append(action).append("@").append(device).push_back('\0');
  text.append("ACTION=").append(action).push_back('\0');
  text.append("DEVPATH=").append(device).push_back('\0');
  text.append("SUBSYSTEM=").append(subsystem).push_back('\0');
  text.append("SEQNUM=").append(sequence).push_back('\0');
  return text;
}

TEST(CpuUevent, SaysWhichCpuWentWhere) {
  EXPECT_EQ(parse_cpu_uevent(kOffline), (CpuUevent{CpuId{1}, false, 891}));
  EXPECT_EQ(parse_cpu_uevent(message("online", "/devices/system/cpu/cpu0")),
            (CpuUevent{CpuId{0}, true, 7}));
  EXPECT_EQ(parse_cpu_uevent(
                message("online", "/devices/system/cpu/cpu8191", "cpu", "18446744073709551615")),
            (CpuUevent{CpuId{8191}, true, 18446744073709551615U}));
}

TEST(CpuUevent, IsNotWhatSomebodyWroteToAFile) {
  EXPECT_EQ(parse_cpu_uevent(kMadeUp), std::nullopt);
}

TEST(CpuUevent, IsNotOfAnotherSubsystemOrAction) {
  EXPECT_EQ(parse_cpu_uevent(kOtherSubsystem), std::nullopt);
  EXPECT_EQ(parse_cpu_uevent(message("online", "/devices/system/cpu/cpu1", "cpuid")), std::nullopt);
  EXPECT_EQ(parse_cpu_uevent(message("online", "/devices/system/memory/memory1", "memory")),
            std::nullopt);
  for (const std::string_view action : {"add", "remove", "change", "", "Online", "onlin"})
    EXPECT_EQ(parse_cpu_uevent(message(action, "/devices/system/cpu/cpu1")), std::nullopt)
        << action;
}

TEST(CpuUevent, IsNotOfUdev) {
  EXPECT_EQ(parse_cpu_uevent("libudev\0\xfe\xed\xca\xfe\0ACTION=online\0"
                             "DEVPATH=/devices/system/cpu/cpu1\0SUBSYSTEM=cpu\0SEQNUM=3\0"sv),
            std::nullopt);
}

TEST(CpuUevent, NeedsACpuNumberThatCanBe) {
  for (const std::string_view number : {"", "-1", "+1", "01", " 1", "1 ", "1x", "0x1", "8192",
                                        "4294967297", "99999999999999999999", "1/topology"}) {
    const std::string device = "/devices/system/cpu/cpu" + std::string(number);
    EXPECT_EQ(parse_cpu_uevent(message("online", device)), std::nullopt) << number;
  }
  EXPECT_EQ(parse_cpu_uevent(message("online", "/devices/system/cpu")), std::nullopt);
  EXPECT_EQ(parse_cpu_uevent(message("online", "devices/system/cpu/cpu1")), std::nullopt);
}

TEST(CpuUevent, NeedsASequenceNumberThatCanBe) {
  for (const std::string_view sequence : {"", "-1", "x", "1 ", "18446744073709551616"}) {
    EXPECT_EQ(parse_cpu_uevent(message("online", "/devices/system/cpu/cpu1", "cpu", sequence)),
              std::nullopt)
        << sequence;
  }
}

TEST(CpuUevent, NeedsAFirstLineThatAgreesWithTheFields) {
  std::string text = message("online", "/devices/system/cpu/cpu1");
  ASSERT_NE(parse_cpu_uevent(text), std::nullopt);
  std::string other_cpu = text;
  other_cpu[other_cpu.find('1')] = '2';
  EXPECT_EQ(parse_cpu_uevent(other_cpu), std::nullopt);
  EXPECT_EQ(parse_cpu_uevent("x" + text), std::nullopt);
  text.erase(text.find('@'), 1);
  EXPECT_EQ(parse_cpu_uevent(text), std::nullopt);
}

TEST(CpuUevent, CutAnywhereIsNone) {
  for (std::size_t length = 0; length < kOffline.size(); ++length)
    EXPECT_EQ(parse_cpu_uevent(kOffline.substr(0, length)), std::nullopt) << length;
}

TEST(CpuUevent, ToleratesFieldsItDoesNotKnow) {
  std::string text = message("offline", "/devices/system/cpu/cpu3");
  text.append("NEW=1\0\0nothing\0=\0"sv);
  EXPECT_EQ(parse_cpu_uevent(text), (CpuUevent{CpuId{3}, false, 7}));
}

}  // namespace
}  // namespace trapline::linux_port
