// How to type a name so that it means one thing among several. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trapline::symbols {

struct Candidate {
  std::string name;     // qualified
  std::string file;     // absolute path of its source file; "" if unknown
  std::string module;   // absolute path
  std::string address;  // "*0x404040:4": always a way
};

// Whether `tail` is the whole of `path` or what follows one of its slashes.
[[nodiscard]] bool is_path_tail(std::string_view path, std::string_view tail);

// For each candidate the shortest expression that means no other: "file.c:x", "dir/file.c:x",
// "libx.so:x", or its address.
[[nodiscard]] std::vector<std::string> tell_apart(const std::vector<Candidate>& candidates);

}  // namespace trapline::symbols
