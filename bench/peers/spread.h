// What repetitions of a measurement say together: the middle, and how far they lie apart. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "trapline/base/units.h"

namespace trapline::peers {

struct Spread {
  double lowest = 0;
  double median = 0;  // of an even count, the mean of the two in the middle
  double highest = 0;

  friend bool operator==(const Spread&, const Spread&) = default;
};

// nullopt: there are no values.
[[nodiscard]] std::optional<Spread> spread_of(std::vector<double> values);

// A whole command's time at two sizes.
struct Slope {
  std::uint64_t few = 0;  // less than many
  std::uint64_t many = 0;
  Nanoseconds few_time;
  Nanoseconds many_time;

  // What one more costs: start and end of the command drop out. Noise can make it negative.
  [[nodiscard]] double nanoseconds_each() const;
};

// Each value by the base's of the same round. Rounds in which the base is not positive, or that
// only one of the two has, are left out.
[[nodiscard]] std::vector<double> ratios(const std::vector<double>& values,
                                         const std::vector<double>& base);

}  // namespace trapline::peers
