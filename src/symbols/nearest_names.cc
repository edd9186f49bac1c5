#include "symbols/nearest_names.h"

#include <algorithm>

namespace trapline::symbols {

std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t bound) {
  const std::size_t difference = a.size() > b.size() ? a.size() - b.size() : b.size() - a.size();
  if (difference > bound) return bound + 1;
  // Optimal string alignment, three rows at a time.
  std::vector<std::size_t> before_last(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> current(b.size() + 1);
  for (std::size_t column = 0; column <= b.size(); ++column) last[column] = column;
  for (std::size_t row = 1; row <= a.size(); ++row) {
    current[0] = row;
    std::size_t nearest = row;
    for (std::size_t column = 1; column <= b.size(); ++column) {
      const std::size_t replaced = last[column - 1] + (a[row - 1] == b[column - 1] ? 0 : 1);
      current[column] = std::min({replaced, last[column] + 1, current[column - 1] + 1});
      const bool swapped =
          row > 1 && column > 1 && a[row - 1] == b[column - 2] && a[row - 2] == b[column - 1];
      if (swapped) current[column] = std::min(current[column], before_last[column - 2] + 1);
      nearest = std::min(nearest, current[column]);
    }
    if (nearest > bound) return bound + 1;
    std::swap(before_last, last);
    std::swap(last, current);
  }
  return std::min(last[b.size()], bound + 1);
}

NearestNames::NearestNames(std::string_view wanted, std::size_t limit)
    : wanted_(wanted), limit_(limit), farthest_(std::max<std::size_t>(2, wanted.size() / 3)) {}

void NearestNames::offer(std::string_view name) {
  const std::size_t bound = best_.size() < limit_ ? farthest_ : best_.back().distance;
  const std::size_t distance = edit_distance(wanted_, name, bound);
  if (distance > bound) return;
  Candidate candidate{distance, std::string(name)};
  const auto place = std::ranges::lower_bound(best_, candidate);
  if (place != best_.end() && *place == candidate) return;
  best_.insert(place, std::move(candidate));
  if (best_.size() > limit_) best_.pop_back();
}

std::vector<std::string> NearestNames::take() const {
  std::vector<std::string> names;
  names.reserve(best_.size());
  for (const Candidate& candidate : best_) names.push_back(candidate.name);
  return names;
}

}  // namespace trapline::symbols
