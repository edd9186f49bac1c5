#include "bench/peers/results.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace trapline::peers {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Account all_of(std::uint64_t writes) {
  return {.writes = writes, .hits = writes, .lost = 0};
}

// A floor, a peer that is missing, one that loses hits, and Trapline.
Results some_results() {
  const auto tool = [](std::string_view name, Kind kind, std::optional<double> goal) {
    return Tool{.name = name, .kind = kind, .gives = "a <count>", .goal = goal};
  };
  Results results{.machine = {"6.1.0", "Some CPU", 4, false},
                  .plan = {3, {2'000, 82'000}, {1'000, 11'000}, {100, 2'100}},
                  .attach_plan = {1'000, 11},
                  .writers_plan = {16, 10}};
  results.tools = {
      {tool("perf stat", Kind::floor, {}), {10'000, 10'000, 20'000}, all_of(300), ""},
      {tool("gdb", Kind::peer, {}), {}, {}, "gdb is not installed"},
      {tool("a < b", Kind::peer, {}), {20'000, 30'000, 80'000}, {300, 200, 90}, ""},
      {tool("trapline", Kind::trapline, 1.25), {11'000, 12'000, 26'000}, {300, 290, 10}, ""},
  };
  results.attach = {{"bpf", Spread{30, 31.5, 40}, ""}, {"perf", std::nullopt, "forbidden"}};
  results.writers = {{"bpf", 1'000, 900, 100, ""}};
  return results;
}

TEST(Results, RatioIsToTheFloorOfTheSameRound) {
  const Results results = some_results();
  EXPECT_EQ(ratio_of(results, results.tools[3]), (Spread{1.1, 1.2, 1.3}));
  EXPECT_EQ(ratio_of(results, results.tools[0]), std::nullopt);
  EXPECT_EQ(ratio_of(results, results.tools[1]), std::nullopt);
}

TEST(Results, WithoutAFloorThereAreNoRatios) {
  Results results = some_results();
  results.tools[0].missing = "perf is not installed";
  EXPECT_EQ(ratio_of(results, results.tools[3]), std::nullopt);
  EXPECT_THAT(to_markdown(results), HasSubstr("| trapline | 12.0 (11.0 to 26.0) |  | 1.25 |"));
}

TEST(Results, FloorThatSpreadsMakesRatiosWorthless) {
  Results results = some_results();
  EXPECT_THAT(noise_of(results), HasSubstr("from 10.0 to 20.0 us"));
  EXPECT_THAT(to_markdown(results), HasSubstr("**Too much else ran"));
  EXPECT_EQ(nlohmann::json::parse(to_json(results))["noise"], noise_of(results));
  results.tools[0].slopes = {-1, 1};
  EXPECT_NE(noise_of(results), "");
  results.tools[0].slopes = {10'000, 15'000};
  EXPECT_EQ(noise_of(results), "");
  EXPECT_THAT(to_markdown(results), Not(HasSubstr("**Too much else ran")));
}

TEST(Results, AccountThatDoesNotAddUpIsNamed) {
  Results results = some_results();
  EXPECT_EQ(wrong_account(results), "");  // a peer's losses are its own affair
  results.writers[0].hits = 899;
  EXPECT_EQ(wrong_account(results), "16 threads at once, bpf: 1000 writes, 899 hits, 100 lost");
  results.tools[3].account.lost = 9;
  EXPECT_EQ(wrong_account(results), "trapline: 300 writes, 290 hits, 9 lost");
}

TEST(Results, MarkdownHasARowForEachToolThatWasMeasured) {
  const std::string text = to_markdown(some_results());
  EXPECT_THAT(text, HasSubstr("| perf stat | 10.0 (10.0 to 20.0) | 1 |  | all 300 |"));
  EXPECT_THAT(text, HasSubstr("| trapline | 12.0 (11.0 to 26.0) | 1.20 (1.10 to 1.30) | 1.25 | "
                              "290 of 300, 10 lost by its own word |"));
  EXPECT_THAT(text,
              HasSubstr("| 200 of 300, 90 lost by its own word, **10 missing without a word** |"));
  EXPECT_THAT(text, HasSubstr("- not measured: gdb: gdb is not installed\n"));
  EXPECT_THAT(text, Not(HasSubstr("| gdb |")));
}

TEST(Results, MarkdownHasThreads) {
  const std::string text = to_markdown(some_results());
  EXPECT_THAT(
      text, HasSubstr("| bpf | 31.5 (30.0 to 40.0) | 100 |\n\n- not measured: perf: forbidden\n"));
  EXPECT_THAT(text, HasSubstr("| bpf | 1000 | 900 | 100 | yes |"));
}

TEST(Results, WhatWasLeftOutHasNoTable) {
  Results results = some_results();
  results.attach.clear();
  results.writers.clear();
  EXPECT_THAT(to_markdown(results), Not(HasSubstr("## ")));
  EXPECT_FALSE(nlohmann::json::parse(to_json(results)).contains("attach"));
}

TEST(Results, EmulatorsFiguresAreCalledThat) {
  Results results = some_results();
  EXPECT_THAT(to_markdown(results), Not(HasSubstr("emulat")));
  results.machine.is_emulated = true;
  EXPECT_THAT(to_markdown(results), HasSubstr("An emulated CPU"));
  EXPECT_THAT(to_svg(results), HasSubstr("an emulator's figures"));
  EXPECT_EQ(nlohmann::json::parse(to_json(results))["machine"]["emulated"], true);
}

TEST(Results, JsonHasTheFiguresUnrounded) {
  const auto json = nlohmann::json::parse(to_json(some_results()));
  const auto& tools = json["tools"];
  ASSERT_EQ(tools.size(), 4U);
  EXPECT_FALSE(tools[0].contains("ratio"));
  EXPECT_EQ(tools[1], nlohmann::json::parse(
                          R"({"name":"gdb","kind":"peer","missing":"gdb is not installed"})"));
  EXPECT_EQ(tools[2]["unaccounted"], 10);
  EXPECT_EQ(tools[3],
            nlohmann::json::parse(
                R"({"name":"trapline","kind":"trapline","slopes_ns":[11000.0,12000.0,26000.0],
                              "ns_per_hit":{"lowest":11000.0,"median":12000.0,"highest":26000.0},
                              "ratio":{"lowest":1.1,"median":1.2,"highest":1.3},"goal":1.25,
                              "writes":300,"hits":290,"lost":10,"unaccounted":0})"));
  EXPECT_EQ(json["writers"]["collectors"][0]["exact"], true);
  EXPECT_EQ(json["attach"]["collectors"][1]["missing"], "forbidden");
}

TEST(Results, ReasonInAnyEncodingMakesValidJson) {
  Results results = some_results();
  results.tools[1].missing = "bad byte \xff";
  EXPECT_FALSE(nlohmann::json::parse(to_json(results), nullptr, false).is_discarded());
}

TEST(Results, PlotHasABarForEachRatioAndEscapesNames) {
  const std::string svg = to_svg(some_results());
  EXPECT_THAT(svg, HasSubstr(">a &lt; b</text>"));
  EXPECT_THAT(svg, HasSubstr(">1.20 (1.10 to 1.30)</text>"));
  EXPECT_THAT(svg, Not(HasSubstr("gdb")));
  EXPECT_THAT(svg, ::testing::StartsWith("<svg "));
  EXPECT_THAT(svg, ::testing::EndsWith("</svg>\n"));
}

TEST(Results, PlotStaysInItsFrameWhateverNoiseGave) {
  Results results = some_results();
  results.tools[3].slopes = {-5'000, 0, 9e12};
  const std::string svg = to_svg(results);
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
  EXPECT_THAT(svg, Not(HasSubstr(R"(width="-)")));
}

}  // namespace
}  // namespace trapline::peers
