// Runs the tests: the arguments are GoogleTest's, given by the emulator.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "ports/armv7_virt/boot.h"
#include "ports/armv7_virt/print.h"
#include "ports/armv7_virt/semihosting.h"
#include "ports/armv7_virt/timer.h"
#include "ports/armv7_virt/watchdog.h"

namespace {

using namespace trapline::armv7_virt;

// A test that does not end is stopped, with its name and the places where the CPUs are.
class WatchedTests : public ::testing::EmptyTestEventListener {
 public:
  void OnTestStart(const ::testing::TestInfo& test) override {
    constexpr trapline::Nanoseconds kLimit{60'000'000'000};
    name_ = std::string(test.test_suite_name()) + "." + test.name();
    watchdog::expect(name_, kLimit);
  }
  void OnTestEnd(const ::testing::TestInfo& /*test*/) override { watchdog::stop_expecting(); }

 private:
  std::string name_;
};

// The emulator gives one line; words are separated by spaces. The first is the image's name.
std::vector<char*> split(char* line) {
  std::vector<char*> words;
  for (char* at = line; *at != '\0';) {
    while (*at == ' ') *at++ = '\0';
    if (*at == '\0') break;
    words.push_back(at);
    while (*at != ' ' && *at != '\0') ++at;
  }
  return words;
}

}  // namespace

int firmware_main() {
  static std::array<char, 512> line;
  static_cast<void>(semihosting::command_line(std::span(line).first(line.size() - 1)));
  std::vector<char*> words = split(line.data());
  words.insert(words.begin(), words.empty() ? line.data() : words.front());
  if (words.size() > 1) words.erase(words.begin());
  int count = static_cast<int>(words.size());
  words.push_back(nullptr);
  ::testing::InitGoogleMock(&count, words.data());
  ::testing::UnitTest::GetInstance()->listeners().Append(new WatchedTests);
  const int status = RUN_ALL_TESTS();
  print_line("firmware: all tests done ", Tenths{timer::now().value / 100'000'000},
             " s after power-on");
  return status;
}
