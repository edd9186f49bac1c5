#include "tools/trapline/cpus/cpu_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace trapline::command {
namespace {

double seconds(Nanoseconds from, Nanoseconds to) {
  return static_cast<double>(to.value - from.value) / kNanosecondsPerSecond;
}

std::string to_text(const CpuState& state) {
  return state.name.empty() ? fmt::format("{}", state.number)
                            : fmt::format("{} {}", state.number, state.name);
}

std::string to_text(const std::optional<CpuState>& state) {
  return state ? to_text(*state) : "not told";
}

std::string duration_of(const CpuTransition& transition) {
  return fmt::format("{:.3f} ms",
                     static_cast<double>(transition.duration.value) / kNanosecondsPerMillisecond);
}

std::string failure_of(const CpuTransition& transition) {
  return transition.error ? fmt::format("  failed: {}", name_of(transition.error->code)) : "";
}

nlohmann::ordered_json to_json(const CpuState& state) {
  nlohmann::ordered_json json = {{"number", state.number}};
  if (!state.name.empty()) json["name"] = state.name;
  return json;
}

}  // namespace

std::string to_table(std::span<const CpuFacts> cpus, Nanoseconds now) {
  constexpr auto kRow = "{:<5} {:<7} {:<16} {:<16} {}\n";
  std::string text =
      fmt::format(kRow, "cpu", "online", "kernel's state", "state", "last transition");
  for (const CpuFacts& cpu : cpus) {
    const std::string last =
        cpu.transition ? fmt::format("{:.3f} s ago, took {}{}", seconds(cpu.transition->time, now),
                                     duration_of(*cpu.transition), failure_of(*cpu.transition))
                       : "none";
    text += fmt::format(kRow, cpu.cpu.value, cpu.is_online ? "yes" : "no",
                        to_text(cpu.kernel_state), to_text(cpu.state), last);
  }
  return text;
}

std::string to_line(const CpuFacts& cpu, Nanoseconds began) {
  std::string text = fmt::format("{:12.6f}  cpu {}  {}  kernel's state {}, state {}",
                                 cpu.transition ? seconds(began, cpu.transition->time) : 0.0,
                                 cpu.cpu.value, cpu.is_online ? "online " : "offline",
                                 to_text(cpu.kernel_state), to_text(cpu.state));
  if (cpu.transition)
    text += fmt::format(", took {}{}", duration_of(*cpu.transition), failure_of(*cpu.transition));
  return text + "\n";
}

std::string to_json_line(const CpuFacts& cpu) {
  nlohmann::ordered_json json = {
      {"type", "cpu_state"}, {"cpu", cpu.cpu.value}, {"online", cpu.is_online}};
  if (cpu.kernel_state) json["kernel_state"] = to_json(*cpu.kernel_state);
  json["state"] = to_json(cpu.state);
  if (cpu.transition) {
    json["transition"] = {{"time_ns", cpu.transition->time.value},
                          {"duration_ns", cpu.transition->duration.value}};
    if (cpu.transition->error) json["transition"]["error"] = name_of(cpu.transition->error->code);
  }
  return json.dump() + "\n";
}

}  // namespace trapline::command
