#include "ports/linux/kernel_cpu_states.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "ports/linux/proc_fs.h"

namespace trapline::linux_port {

std::map<int, std::string> parse_kernel_cpu_states(std::string_view text) {
  std::map<int, std::string> names;
  while (!text.empty()) {
    const std::size_t newline = text.find('\n');
    std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    int number = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
    line.remove_prefix(static_cast<std::size_t>(end - line.data()));
    if (error != std::errc() || !line.starts_with(": ")) continue;
    names.emplace(number, line.substr(2));
  }
  return names;
}

KernelCpuStates::KernelCpuStates(std::string root) : root_(std::move(root)) {
  names_ = parse_kernel_cpu_states(read_file(root_ + "/hotplug/states").value_or(std::string()));
}

std::optional<int> KernelCpuStates::state_of(CpuId cpu) const {
  const auto number = read_number(root_ + "/cpu" + std::to_string(cpu.value) + "/hotplug/state");
  if (!number) return std::nullopt;
  return static_cast<int>(*number);
}

std::string KernelCpuStates::name_of(int state) const {
  const auto found = names_.find(state);
  return found == names_.end() ? std::string() : found->second;
}

}  // namespace trapline::linux_port
