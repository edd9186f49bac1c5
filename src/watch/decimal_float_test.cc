// Against the C library, which rounds to the nearest as well.
#include "watch/decimal_float.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <limits>
#include <optional>
#include <random>
#include <string>

namespace trapline {
namespace {

std::optional<std::uint64_t> bits_of(double number) {
  if (!std::isfinite(number) || number == 0) return std::nullopt;
  return std::bit_cast<std::uint64_t>(number);
}
std::optional<std::uint64_t> bits_of(float number) {
  if (!std::isfinite(number) || number == 0) return std::nullopt;
  return std::bit_cast<std::uint32_t>(number);
}

void expect_as_the_library(std::uint64_t digits, int exponent) {
  const std::string text = std::to_string(digits) + "e" + std::to_string(exponent);
  EXPECT_EQ(nearest_float(digits, exponent, FloatFormat::double_precision),
            bits_of(std::strtod(text.c_str(), nullptr)))
      << text;
  EXPECT_EQ(nearest_float(digits, exponent, FloatFormat::single_precision),
            bits_of(std::strtof(text.c_str(), nullptr)))
      << text;
}

TEST(DecimalFloat, RandomNumbersAreRoundedAsByTheLibrary) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 4000; ++i) {
    const std::uint64_t digits = random() >> (random() % 64);
    if (digits == 0) continue;
    expect_as_the_library(digits, static_cast<int>(random() % 720) - 370);
    expect_as_the_library(digits, static_cast<int>(random() % 60) - 50);
  }
}

TEST(DecimalFloat, HalvesGoToTheEvenOne) {
  for (const std::uint64_t digits : std::initializer_list<std::uint64_t>{
           9007199254740993, 9007199254740995, 16777217, 16777219, 33554431})
    expect_as_the_library(digits, 0);
}

TEST(DecimalFloat, EndsOfTheRangeAreExact) {
  // The largest of each format and what rounds to it or beyond, the smallest normal and subnormal.
  expect_as_the_library(17976931348623157, 292);
  expect_as_the_library(17976931348623158, 292);
  expect_as_the_library(17976931348623159, 292);
  expect_as_the_library(340282346638528859, 21);
  expect_as_the_library(340282356779733661, 21);
  expect_as_the_library(340282356779733662, 21);
  expect_as_the_library(22250738585072011, -324);
  expect_as_the_library(22250738585072014, -324);
  expect_as_the_library(5, -324);
  expect_as_the_library(2470328229206232720, -342);
  expect_as_the_library(2470328229206232721, -342);
  expect_as_the_library(140129846432481707, -62);
  expect_as_the_library(std::numeric_limits<std::uint64_t>::max(), -345);
  expect_as_the_library(std::numeric_limits<std::uint64_t>::max(), 309);
}

TEST(DecimalFloat, ZeroIsZeroWithAnyExponent) {
  EXPECT_EQ(nearest_float(0, 999, FloatFormat::double_precision), 0U);
  EXPECT_EQ(nearest_float(0, -999, FloatFormat::single_precision), 0U);
}

}  // namespace
}  // namespace trapline
