#include "tools/trapline/doctor/findings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/utsname.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "ports/linux/native_architecture.h"
#include "ports/linux/perf_arch.h"
#include "ports/linux/ptrace_step.h"
#include "ports/linux/self_test.h"

namespace trapline::command {
namespace {

using linux_port::SlotHolder;

CollectorFinding examine_collector(std::string name, std::string obstacle,
                                   Result<void> (*self_test)()) {
  CollectorFinding finding;
  finding.name = std::move(name);
  finding.allowed = obstacle.empty();
  finding.reason = std::move(obstacle);
  const auto tested = self_test();
  finding.fires = tested.has_value();
  if (!tested && finding.reason.empty()) finding.reason = tested.error().message;
  if (!tested && tested.error().error.code == ErrorCode::permission_denied) finding.allowed = false;
  return finding;
}

std::string join_accesses(const std::vector<Access>& accesses) {
  std::vector<std::string_view> words;
  words.reserve(accesses.size());
  for (const Access access : accesses) words.push_back(name_of(access));
  return fmt::format("{}", fmt::join(words, " "));
}

std::string join_lengths(const std::vector<ByteCount>& lengths) {
  std::vector<std::uint64_t> numbers;
  numbers.reserve(lengths.size());
  for (const ByteCount length : lengths) numbers.push_back(length.value);
  return fmt::format("{}", fmt::join(numbers, " "));
}

void append_machine(std::string& text, const Findings& findings) {
  const DebugArchitecture& machine = findings.architecture;
  auto out = std::back_inserter(text);
  fmt::format_to(out, "machine     {}, Linux {}\n", machine.name, findings.kernel);
  fmt::format_to(out, "registers   {} {}; a hit is reported {} the access\n", machine.data_slots,
                 machine.slots_are_shared
                     ? "for data and code together"
                     : fmt::format("for data and {} for code", machine.code_slots),
                 machine.traps_before_access ? "before" : "after");
  if (!findings.probed) {
    fmt::format_to(out, "probed      no: {}\n", findings.probe_failure);
    return;
  }
  const auto& probed = *findings.probed;
  fmt::format_to(out, "free now    {} for data, {} for code{}, in a thread of this process\n",
                 probed.free_data_slots, probed.free_code_slots,
                 probed.slots_are_shared ? " (one pool)" : "");
  fmt::format_to(out, "kinds       {}{}\n", join_accesses(probed.accesses),
                 linux_port::native_perf_architecture().tells_kinds
                     ? ""
                     : "; perf: r and w as rw, and a filter by the instruction");
  fmt::format_to(out, "lengths     {} bytes{}; other ranges are split\n",
                 join_lengths(probed.lengths), probed.unaligned ? ", at any address" : ", aligned");
}

void append_collectors(std::string& text, const Findings& findings) {
  auto out = std::back_inserter(text);
  for (const CollectorFinding& collector : findings.collectors) {
    const bool works = collector.allowed && collector.fires && collector.reason.empty();
    fmt::format_to(out, "{:<11} {}{}\n", collector.name,
                   works             ? "ok: a watch was set here and it fired"
                   : collector.fires ? "limited: "
                                     : "no: ",
                   works ? "" : collector.reason);
  }
}

void append_holders(std::string& text, const Findings& findings) {
  auto out = std::back_inserter(text);
  if (findings.holders.empty()) {
    text += "held by     nobody\n";
    return;
  }
  const char* title = "held by";
  for (const SlotHolder& holder : findings.holders) {
    fmt::format_to(out, "{:<11} {}\n", title, linux_port::describe_holders(std::span(&holder, 1)));
    title = "";
  }
}

constexpr const char* kLimits =
    "never seen  writes by another process (process_vm_writev, /proc/PID/mem) or by a device\n"
    "            writes by system calls (read(2) into the variable): ";

const char* who_sees_system_calls() {
  return linux_port::native_perf_architecture().sees_system_calls
             ? "seen by bpf and perf as root, not by ptrace\n"
             : "seen by no collector on this architecture\n";
}

// What a watch may do to a program; "" if nothing.
const char* harm_to_atomics() {
  using linux_port::ExclusiveLoops;
  switch (linux_port::native_exclusive_loops()) {
    case ExclusiveLoops::none:
      return "";
    case ExclusiveLoops::avoidable:
      return "hung by it  atomics of programs that use loops of exclusive loads and stores never "
             "end on a watched word;\n"
             "            this CPU has atomics of one instruction, which do\n";
    case ExclusiveLoops::all:
      if (!linux_port::perf_steps_over_hits()) return "";  // blind after the first
      if (linux_port::PtraceStep::ends_exclusive_loops())
        return "hung by it  atomics never end on a word that perf watches: this CPU makes them of "
               "loops of\n"
               "            exclusive loads and stores; ptrace takes a program through them\n";
      return "hung by it  atomics never end on a watched word: this CPU makes them of loops of "
             "exclusive loads and stores\n";
  }
  return "";
}

const char* word_of(SlotHolder::Kind kind) {
  switch (kind) {
    case SlotHolder::Kind::tracer:
      return "tracer";
    case SlotHolder::Kind::breakpoint_events:
      return "breakpoint_events";
    case SlotHolder::Kind::unknown_events:
      return "unknown_events";
  }
  return "?";
}

nlohmann::ordered_json probed_json(const linux_port::ProbedCapabilities& probed) {
  nlohmann::ordered_json record{
      {"free_data_slots", probed.free_data_slots},   {"free_code_slots", probed.free_code_slots},
      {"slots_are_shared", probed.slots_are_shared}, {"accesses", nlohmann::ordered_json::array()},
      {"lengths", nlohmann::ordered_json::array()},  {"unaligned", probed.unaligned}};
  for (const Access access : probed.accesses) record["accesses"].push_back(name_of(access));
  for (const ByteCount length : probed.lengths) record["lengths"].push_back(length.value);
  return record;
}

nlohmann::ordered_json privileges_json(const linux_port::Privileges& privileges) {
  nlohmann::ordered_json record{
      {"uid", privileges.effective_uid},
      {"cap_perfmon", privileges.has(linux_port::Capability::perfmon)},
      {"cap_sys_ptrace", privileges.has(linux_port::Capability::sys_ptrace)},
      {"cap_sys_admin", privileges.has(linux_port::Capability::sys_admin)},
      {"seccomp_mode", privileges.seccomp_mode}};
  if (privileges.perf_event_paranoid)
    record["perf_event_paranoid"] = *privileges.perf_event_paranoid;
  if (privileges.ptrace_scope) record["ptrace_scope"] = *privileges.ptrace_scope;
  if (!privileges.lockdown.empty()) record["lockdown"] = privileges.lockdown;
  return record;
}

}  // namespace

bool Findings::can_watch() const {
  return std::ranges::any_of(collectors, &CollectorFinding::fires);
}

Findings examine() {
  Findings findings;
  utsname name{};
  if (::uname(&name) == 0) findings.kernel = name.release;
  findings.architecture = linux_port::native_debug_architecture();
  findings.privileges = linux_port::Privileges::of_this_process();
  if (auto probed = linux_port::probe_capabilities()) {
    findings.probed = std::move(*probed);
  } else {
    findings.probe_failure = probed.error().message;
  }
  CollectorFinding perf = examine_collector("perf", linux_port::perf_obstacle(findings.privileges),
                                            linux_port::self_test_perf);
  if (perf.fires) {
    // What a value above 2 forbids differs between Debian's kernels and others: the test decides.
    perf.allowed = true;
    perf.reason = linux_port::perf_drawback();
  }
  findings.collectors.push_back(examine_collector("bpf", "", linux_port::self_test_bpf));
  findings.collectors.push_back(std::move(perf));
  findings.collectors.push_back(examine_collector(
      "ptrace", linux_port::ptrace_obstacle(findings.privileges), linux_port::self_test_ptrace));
  findings.holders = linux_port::find_slot_holders(std::nullopt);
  return findings;
}

std::string to_text(const Findings& findings) {
  std::string text;
  append_machine(text, findings);
  append_collectors(text, findings);
  append_holders(text, findings);
  text += kLimits;
  text += who_sees_system_calls();
  text += harm_to_atomics();
  return text;
}

std::string to_json(const Findings& findings) {
  nlohmann::ordered_json record;
  record["type"] = "doctor";
  record["version"] = 1;
  record["kernel"] = findings.kernel;
  const DebugArchitecture& machine = findings.architecture;
  record["machine"] = {{"architecture", machine.name},
                       {"data_slots", machine.data_slots},
                       {"code_slots", machine.code_slots},
                       {"slots_are_shared", machine.slots_are_shared},
                       {"traps_before_access", machine.traps_before_access}};
  if (findings.probed) record["probed"] = probed_json(*findings.probed);
  record["privileges"] = privileges_json(findings.privileges);
  record["collectors"] = nlohmann::ordered_json::array();
  for (const CollectorFinding& collector : findings.collectors) {
    nlohmann::ordered_json entry{
        {"name", collector.name}, {"allowed", collector.allowed}, {"fires", collector.fires}};
    if (!collector.reason.empty()) entry["reason"] = collector.reason;
    record["collectors"].push_back(entry);
  }
  record["holders"] = nlohmann::ordered_json::array();
  for (const SlotHolder& holder : findings.holders) {
    record["holders"].push_back({{"kind", word_of(holder.kind)},
                                 {"pid", holder.pid.value},
                                 {"name", holder.name},
                                 {"count", holder.count}});
  }
  record["can_watch"] = findings.can_watch();
  return record.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace trapline::command
