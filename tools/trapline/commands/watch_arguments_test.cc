#include "tools/trapline/commands/watch_arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace trapline::command {
namespace {

using ::testing::HasSubstr;

Result<WatchOptions> parse(std::vector<std::string> words) {
  CLI::App app;
  WatchArguments arguments;
  arguments.declare(app);
  words.insert(words.begin(), "watch");
  std::ranges::reverse(words);  // as CLI11 takes vectors
  try {
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    return fail(ErrorCode::bad_syntax, std::string("refused: ") + error.what());
  }
  return arguments.options();
}

TEST(WatchArguments, DefaultsAreTheDocumentedOnes) {
  const auto options = parse({"counter", "-p", "42"});
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->what, "counter");
  EXPECT_EQ(options->pid, 42);
  EXPECT_EQ(options->access, Access::write);
  EXPECT_EQ(options->stack, linux_port::StackMode::frame_pointer);
  EXPECT_TRUE(options->values);
  EXPECT_FALSE(options->length || options->max_hits || options->duration ||
               options->follow_children);
  EXPECT_EQ(options->collector, CollectorChoice::automatic);
}

TEST(WatchArguments, CommandKeepsItsOwnOptions) {
  const auto options = parse({"counter", "--summary", "--", "app", "-p", "7", "--when", "x"});
  ASSERT_TRUE(options.has_value()) << options.error().message;
  EXPECT_EQ(options->command, (std::vector<std::string>{"app", "-p", "7", "--when", "x"}));
  EXPECT_FALSE(options->pid.has_value());
  EXPECT_TRUE(options->summary);
}

TEST(WatchArguments, EveryOptionIsTranslated) {
  const auto options = parse({"*0x10:4", "-p",     "1",     "-t",          "rw",     "-l",
                              "2",       "--when", "new>1", "--when",      "tid==3", "--stack",
                              "dwarf",   "-n",     "5",     "--duration",  "0.5",    "-f",
                              "text",    "-o",     "file",  "--collector", "ptrace", "--children"});
  ASSERT_TRUE(options.has_value()) << options.error().message;
  EXPECT_EQ(options->access, Access::read_write);
  EXPECT_EQ(options->length, ByteCount{2});
  EXPECT_EQ(options->conditions.size(), 2U);
  EXPECT_EQ(options->stack, linux_port::StackMode::dwarf);
  EXPECT_EQ(options->max_hits, 5U);
  EXPECT_EQ(options->duration, Nanoseconds{500'000'000});
  EXPECT_EQ(options->format, OutputFormat::text);
  EXPECT_EQ(options->output, "file");
  EXPECT_EQ(options->collector, CollectorChoice::ptrace);
  EXPECT_TRUE(options->follow_children);
}

TEST(WatchArguments, WrongWordsListTheRightOnes) {
  EXPECT_THAT(parse({"x", "-p", "1", "-t", "q"}).error().message, HasSubstr("'q' is none of"));
  EXPECT_THAT(parse({"x", "-p", "1", "--stack", "lbr"}).error().message,
              HasSubstr("dwarf|fp|none"));
  EXPECT_THAT(parse({"x", "-p", "0"}).error().message, HasSubstr("refused"));
  EXPECT_THAT(parse({"-p", "1"}).error().message, HasSubstr("WHAT"));
}

TEST(WatchArguments, DurationsThatNobodyCanWaitForAreRefused) {
  const auto with = [](const std::string& seconds) {
    return parse({"x", "-p", "1", "--duration", seconds});
  };
  for (const std::string wrong :
       {"1e30", "nan", "inf", "-inf", "18446744073", "1000000001", "0.0009", "0", "-1"}) {
    const auto options = with(wrong);
    ASSERT_FALSE(options.has_value()) << wrong;
    EXPECT_EQ(options.error().error.code, ErrorCode::bad_syntax);
    EXPECT_THAT(options.error().message, HasSubstr("give seconds from 0.001 to 1000000000"))
        << wrong;
  }
  EXPECT_EQ(with("0.001")->duration, Nanoseconds{1'000'000});
  EXPECT_EQ(with("1e9")->duration, Nanoseconds{1'000'000'000'000'000'000});
}

TEST(WatchArguments, WholeMachineIsATarget) {
  const auto options = parse({"jiffies", "-a"});
  ASSERT_TRUE(options.has_value());
  EXPECT_TRUE(options->whole_machine);
  EXPECT_FALSE(options->pid.has_value());
}

TEST(WatchArguments, ContradictionsAreExplained) {
  EXPECT_THAT(parse({"x"}).error().message, HasSubstr("say whom to watch"));
  EXPECT_THAT(parse({"x", "-p", "1", "--", "app"}).error().message, HasSubstr("not several"));
  EXPECT_THAT(parse({"x", "-a", "-p", "1"}).error().message, HasSubstr("not several"));
  EXPECT_THAT(parse({"x", "-a", "--children"}).error().message, HasSubstr("leave --children out"));
  EXPECT_THAT(parse({"x", "-a", "--collector", "ptrace"}).error().message,
              HasSubstr("collector ptrace cannot watch the whole machine"));
  EXPECT_THAT(parse({"f", "-p", "1", "-t", "x", "-l", "4"}).error().message,
              HasSubstr("leave --length out"));
  EXPECT_THAT(parse({"x", "-p", "1", "--values", "off", "--when", "changed"}).error().message,
              HasSubstr("--values off"));
  EXPECT_THAT(parse({"f", "-p", "1", "-t", "x", "--when", "new==1"}).error().message,
              HasSubstr("-t x"));
  EXPECT_THAT(parse({"x", "-p", "1", "--when", "new=1"}).error().message,
              HasSubstr("    new=1\n       ^"));
  EXPECT_THAT(parse({"x", "-p", "1", "--values", "off", "--when", "new & 1"}).error().message,
              HasSubstr("--values off"));
  EXPECT_TRUE(parse({"x", "-p", "1", "--values", "off", "--when", "comm == new"}));
}

}  // namespace
}  // namespace trapline::command
