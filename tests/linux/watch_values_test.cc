// How the values of real hits read: enumerations, pointers, members, bit-fields.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "native_machine.h"
#include "tests/linux/watch_fixture.h"

namespace trapline::testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

// The hits of one round of writes.
std::vector<nlohmann::json> hits_of(const std::string& what, const std::string& command,
                                    const std::vector<std::string>& more = {}) {
  Puppet puppet;
  Watch watch(watch_arguments(what, puppet, more));
  puppet.obey(command);
  return watch.interrupt().hits;
}

TEST(WatchValues, EnumerationIsANumberWithItsName) {
  const auto hits = hits_of("phase", "values 4");
  ASSERT_EQ(hits.size(), 1U);
  EXPECT_EQ(hits[0]["old"], 0);
  EXPECT_EQ(hits[0]["new"], 5);
  EXPECT_EQ(hits[0]["old_text"], "phase_idle");
  EXPECT_EQ(hits[0]["new_text"], "phase_running");
  EXPECT_FALSE(hits[0].contains("member"));
}

TEST(WatchValues, FlagsAreTheNamesOfTheirBits) {
  const auto hits = hits_of("rights", "values 4", {"--when", "new==5"});
  ASSERT_EQ(hits.size(), 1U);
  EXPECT_EQ(hits[0]["new"], 5);
  EXPECT_EQ(hits[0]["new_text"], "may_read|may_run");
  EXPECT_FALSE(hits[0].contains("old_text")) << "0 has no name";
}

TEST(WatchValues, PointerSaysWhatItPointsTo) {
  const auto hits = hits_of("entry", "values 4");
  ASSERT_EQ(hits.size(), 1U);
  EXPECT_EQ(hits[0]["old"], 0);
  EXPECT_FALSE(hits[0].contains("old_text"));
  EXPECT_THAT(hits[0]["new_text"].get<std::string>(), EndsWith(" <table+64>"));
  EXPECT_TRUE(hits[0]["new"].is_number());
}

TEST(WatchValues, SmallStructIsToldByItsMembers) {
  const auto hits = hits_of("point", "values 4");
  ASSERT_EQ(hits.size(), 1U);
  EXPECT_EQ(hits[0]["member"], "point.y");
  EXPECT_EQ(hits[0]["old"], "0x01000200");
  EXPECT_EQ(hits[0]["new"], "0x01000400");
  EXPECT_EQ(hits[0]["old_text"], "{x = 1, y = 2}");
  EXPECT_EQ(hits[0]["new_text"], "{x = 1, y = 4}");
}

TEST(WatchValues, CharactersAreAText) {
  const auto hits = hits_of("label", "values 4");
  ASSERT_EQ(hits.size(), 1U);
  EXPECT_EQ(hits[0]["member"], "label[0]");
  EXPECT_EQ(hits[0]["old_text"], R"("none")");
  EXPECT_EQ(hits[0]["new_text"], R"("done")");
}

TEST(WatchValues, BitFieldHasItsOwnValue) {
  const auto hits = hits_of("status.level", "values 9", {"--when", "changed"});
  ASSERT_EQ(hits.size(), 1U) << "a write of the neighbour leaves it as it was";
  EXPECT_EQ(hits[0]["old"], 3);
  EXPECT_EQ(hits[0]["new"], 9);
  const auto signed_hits = hits_of("status.delta", "values 9", {"--when", "new==-9"});
  ASSERT_EQ(signed_hits.size(), 1U);
  EXPECT_EQ(signed_hits[0]["old"], -1);
  EXPECT_EQ(signed_hits[0]["new"], -9);
}

TEST(WatchValues, BitFieldSaysThatItsNeighboursAreSeenToo) {
  Puppet puppet;
  Watch watch(watch_arguments("status.level", puppet));
  EXPECT_EQ(watch.start()["watch"]["type"], "unsigned int : 4");
  EXPECT_EQ(watch.start()["watch"]["length"], 1);
  EXPECT_THAT(watch.start()["notes"].dump(), HasSubstr("neighbours in the same byte"));
}

class WatchMembers : public ::testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Collectors, WatchMembers, ::testing::Values("bpf", "perf", "ptrace"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(WatchMembers, OfALongStructAreNamedAndReadAsTheirType) {
  const auto hits = hits_of("shape", "values 4", {"--collector", GetParam()});
  ASSERT_EQ(hits.size(), 4U);
  EXPECT_EQ(hits[0]["member"], "shape.phase");
  EXPECT_EQ(hits[0]["old_text"], "phase_idle");
  EXPECT_EQ(hits[0]["new_text"], "phase_stopped");
  EXPECT_EQ(hits[0]["new"], "0x0600000000000000") << "the slot's bytes, as ever";
  EXPECT_EQ(hits[1]["member"], "shape.count");
  EXPECT_EQ(hits[1]["old_text"], "0");
  EXPECT_EQ(hits[1]["new_text"], "4");
  EXPECT_EQ(hits[2]["member"], "shape.corners[1].x");
  EXPECT_EQ(hits[2]["new_text"], "4");
  EXPECT_EQ(hits[3]["member"], "shape.draw");
  EXPECT_EQ(hits[3]["old_text"], "0x0");
  EXPECT_THAT(hits[3]["new_text"].get<std::string>(), EndsWith(" <bump>"));
}

TEST(WatchMembers, OfWhatIsCutShortAreNamedToo) {
  const auto hits = hits_of("shape", "values 4", {"--length", "8"});
  ASSERT_EQ(hits.size(), 2U);
  EXPECT_EQ(hits[1]["member"], "shape.count");
  EXPECT_EQ(hits[1]["old_text"], "{phase = phase_stopped, count = 0}");
}

// Of a command, which waits while its memory is read first: nothing is approximate where every
// write is seen.
TEST(WatchValues, TextReportHasNamesAndMembers) {
  ChildProcess watch({TRAPLINE_COMMAND, "watch", "shape", "-f", "text", "--", PUPPET_PROGRAM});
  watch.write_line("values 4");
  watch.write_line("exit 0");
  auto result = watch.wait();
  if (!native::kSeesSystemCalls) std::erase(result.out, '~');
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.out, HasSubstr("  shape.phase  phase_idle -> phase_stopped  write_values"));
  EXPECT_THAT(result.out, HasSubstr("  shape.corners[1].x  0 -> 4  "));
  EXPECT_THAT(result.out, HasSubstr("  shape.draw          0x0 -> 0x"));
  EXPECT_THAT(result.out, HasSubstr(" <bump>  "));
}

}  // namespace
}  // namespace trapline::testing
