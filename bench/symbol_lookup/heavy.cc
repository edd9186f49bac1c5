// A translation unit with much debug information and no symbol that would collide with another copy
// of itself: everything is a template, inline or static.
#include <algorithm>
#include <chrono>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <iomanip>
#include <iostream>
#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

namespace heavy {

template <int N>
struct Item {
  int size = N;
  std::string name;
  std::map<std::string, std::vector<Item<N - 1>>> children;
  std::unordered_map<int, std::shared_ptr<Item<N - 1>>> by_id;
  std::function<int(const Item&)> action;
};
template <>
struct Item<0> {
  int size = 0;
};

template <int N>
inline int visit(const Item<N>& item) {
  static int counter;
  int result = ++counter + item.size;
  if constexpr (N > 0) {
    for (const auto& [name, list] : item.children) {
      std::vector<Item<N - 1>> sorted = list;
      std::sort(sorted.begin(), sorted.end(),
                [](const auto& a, const auto& b) { return a.size < b.size; });
      for (const auto& child : sorted) result += visit(child);
    }
    for (const auto& [id, child] : item.by_id) result += id + visit(*child);
    if (item.action) result += item.action(item);
  }
  return result;
}

inline int all() {
  std::regex pattern("(a+)(b*)");
  std::smatch match;
  std::string text = "aab";
  std::regex_match(text, match, pattern);
  std::ostringstream out;
  out << std::setw(4) << text << std::filesystem::current_path();
  std::variant<int, std::string, std::vector<double>> choice = text;
  return visit(Item<24>{}) + static_cast<int>(choice.index());
}

[[gnu::used]] static int (*volatile keep)() = all;

}  // namespace heavy
