#include "bench/peers/spread.h"

#include <algorithm>

namespace trapline::peers {

std::optional<Spread> spread_of(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return Spread{values.front(), median, values.back()};
}

double Slope::nanoseconds_each() const {
  const double time = static_cast<double>(many_time.value) - static_cast<double>(few_time.value);
  return time / static_cast<double>(many - few);
}

std::vector<double> ratios(const std::vector<double>& values, const std::vector<double>& base) {
  std::vector<double> found;
  for (std::size_t round = 0; round < std::min(values.size(), base.size()); ++round) {
    if (base[round] > 0) found.push_back(values[round] / base[round]);
  }
  return found;
}

}  // namespace trapline::peers
