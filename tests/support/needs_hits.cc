// Linked into test programs with the label debug-registers: where debug registers never fire, as
// under some hypervisors, the tests that need hits are skipped and say so, instead of failing for
// what is nobody's fault.

#include <fnmatch.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "ports/linux/self_test.h"

namespace {

// TRAPLINE_NEEDS_HITS is trapline_unit_test's argument NEEDS_HITS, joined by colons: "A*:B*" are
// the tests whose names match one of them, "-A*:-B*" all others, "" all.
bool needs_hits(const ::testing::TestInfo& test) {
  const std::string name = std::string(test.test_suite_name()) + "." + test.name();
  std::istringstream patterns(TRAPLINE_NEEDS_HITS);
  bool chooses = false;
  for (std::string pattern; std::getline(patterns, pattern, ':');) {
    const bool excludes = pattern.starts_with('-');
    const bool matches = ::fnmatch(pattern.c_str() + (excludes ? 1 : 0), name.c_str(), 0) == 0;
    if (matches) return !excludes;
    if (!excludes) chooses = true;
  }
  return !chooses;
}

// Any other failure of a self-test is not the machine's: the tests run, and tell.
bool never_fires(const trapline::Result<void>& self_test) {
  return !self_test && self_test.error().error.code == trapline::ErrorCode::no_hardware;
}

bool registers_never_fire() {
  static const bool answer = never_fires(trapline::linux_port::self_test_perf()) &&
                             never_fires(trapline::linux_port::self_test_ptrace());
  return answer;
}

// A listener, not an Environment that skips in SetUp: that takes along tests that need no hits, and
// GoogleTest 1.12 does not print for it what gtest_discover_tests recognises a skip by.
class SkipsWithoutHits : public ::testing::EmptyTestEventListener {
  void OnTestStart(const ::testing::TestInfo& test) override {
    if (needs_hits(test) && registers_never_fire())
      GTEST_SKIP()
          << "the debug registers of this machine do not fire: neither perf nor ptrace saw "
             "a write that it watched";
  }
};

[[maybe_unused]] const bool installed = [] {
  ::testing::UnitTest::GetInstance()->listeners().Append(new SkipsWithoutHits);
  return true;
}();

}  // namespace
