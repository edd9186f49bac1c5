#include "bench/peers/machine.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "bench/peers/process.h"

namespace trapline::peers {

std::string processor_name(std::string_view cpuinfo) {
  constexpr std::string_view kKey = "model name";
  const std::size_t key = cpuinfo.find(kKey);
  if (key == std::string_view::npos) return "";
  const std::string_view line = cpuinfo.substr(key, cpuinfo.find('\n', key) - key);
  const std::size_t name = line.find_first_not_of(" \t", line.find(':') + 1);
  return name == std::string_view::npos ? "" : std::string(line.substr(name));
}

bool is_emulator(std::string_view processor) {
  return processor.starts_with("QEMU TCG ");
}

Result<std::vector<CollectorState>> parse_doctor(std::string_view json) {
  const auto report = nlohmann::json::parse(json, nullptr, false);
  if (!report.is_object() || !report.contains("collectors"))
    return fail(ErrorCode::bad_syntax, "trapline doctor did not print its report");
  std::vector<CollectorState> states;
  for (const auto& collector : report["collectors"]) {
    const bool fires = collector.value("fires", false);
    states.push_back({.name = collector.value("name", ""),
                      .fires = fires,
                      .reason = fires ? "" : collector.value("reason", "it does not fire")});
  }
  return states;
}

Machine this_machine() {
  Machine machine;
  utsname names{};
  if (::uname(&names) == 0) machine.kernel = std::begin(names.release);
  machine.processor = processor_name(text_of("/proc/cpuinfo"));
  machine.cpus = static_cast<std::size_t>(std::max(::sysconf(_SC_NPROCESSORS_ONLN), 1L));
  machine.is_emulated = is_emulator(machine.processor);
  return machine;
}

Result<std::vector<CollectorState>> ask_doctor(const std::string& trapline,
                                               const std::string& folder) {
  constexpr std::chrono::seconds kPatience{60};
  const std::string out = folder + "/doctor";
  auto process = Process::start({trapline, "doctor", "-f", "json"}, out, folder + "/error");
  if (!process) return std::unexpected(process.error());
  // Its status only repeats what the report says.
  if (const auto status = process->wait(std::chrono::steady_clock::now() + kPatience); !status)
    return std::unexpected(status.error());
  auto states = parse_doctor(text_of(out));
  if (!states) return states;
  if (std::ranges::any_of(*states, &CollectorState::fires)) return states;
  const std::string reason = states->empty() ? "it has no collector" : states->front().reason;
  return fail(ErrorCode::no_hardware,
              fmt::format("nothing can be measured here, since no watch fires: {}", reason));
}

}  // namespace trapline::peers
