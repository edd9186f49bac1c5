#include "symbols/candidate_names.h"

#include <algorithm>
#include <cstddef>

namespace trapline::symbols {
namespace {

bool means(const Candidate& candidate, std::string_view qualifier, const std::string& name) {
  return candidate.name == name &&
         (is_path_tail(candidate.file, qualifier) || is_path_tail(candidate.module, qualifier));
}

// The tails of a path, shortest first.
std::vector<std::string_view> tails_of(std::string_view path) {
  std::vector<std::string_view> tails;
  for (std::size_t slash = path.rfind('/'); slash != std::string_view::npos;
       slash = slash == 0 ? std::string_view::npos : path.rfind('/', slash - 1)) {
    tails.push_back(path.substr(slash + 1));
  }
  tails.push_back(path);
  return tails;
}

std::string shortest_name(const Candidate& candidate, const std::vector<Candidate>& all) {
  for (const std::string& path : {candidate.file, candidate.module}) {
    if (path.empty()) continue;
    for (const std::string_view tail : tails_of(path)) {
      const auto meant = std::ranges::count_if(
          all, [&](const Candidate& other) { return means(other, tail, candidate.name); });
      if (meant == 1) return std::string(tail) + ":" + candidate.name;
    }
  }
  return candidate.address;
}

}  // namespace

bool is_path_tail(std::string_view path, std::string_view tail) {
  while (tail.starts_with("./")) tail.remove_prefix(2);
  if (tail.empty() || !path.ends_with(tail)) return false;
  return path.size() == tail.size() || path[path.size() - tail.size() - 1] == '/';
}

std::vector<std::string> tell_apart(const std::vector<Candidate>& candidates) {
  std::vector<std::string> names;
  names.reserve(candidates.size());
  for (const Candidate& candidate : candidates)
    names.push_back(shortest_name(candidate, candidates));
  return names;
}

}  // namespace trapline::symbols
