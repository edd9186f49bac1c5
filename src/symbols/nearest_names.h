// "Did you mean": the names most like one that was not found. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace trapline::symbols {

class NearestNames {
 public:
  // Keeps the `limit` names nearest to `wanted` by edit distance, and none that is farther than a
  // third of its length (at least 2 edits).
  explicit NearestNames(std::string_view wanted, std::size_t limit = 3);

  void offer(std::string_view name);
  // The nearest first; equally near ones in alphabetical order.
  [[nodiscard]] std::vector<std::string> take() const;

 private:
  struct Candidate {
    std::size_t distance;
    std::string name;
    friend auto operator<=>(const Candidate&, const Candidate&) = default;
  };

  std::string wanted_;
  std::size_t limit_;
  std::size_t farthest_;
  std::vector<Candidate> best_;  // sorted
};

// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`; `bound + 1`
// if more than `bound`.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t bound);

}  // namespace trapline::symbols
