#include "tools/trapline/watch/collector_choice.h"

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>

#include "ports/linux/bpf/bpf_collector.h"
#include "ports/linux/bpf/bpf_machine_collector.h"
#include "ports/linux/perf_collector.h"
#include "ports/linux/perf_machine_collector.h"
#include "ports/linux/ptrace_collector.h"
#include "ports/linux/self_test.h"
#include "ports/linux/slot_holders.h"
#include "tools/trapline/watch/file_collector.h"
#include "tools/trapline/watch/machine_object.h"

namespace trapline::command {
namespace {

// One row per collector, in order of preference.
struct Candidate {
  CollectorChoice choice;
  const char* name;
  Result<void> (*self_test)();
  std::unique_ptr<linux_port::Collector> (*make)();
  std::unique_ptr<linux_port::MachineCollector> (*make_for_machine)();  // nullptr: it cannot
  // Why those after it are better, if one of them works; "": they are not.
  std::string (*drawback)();
};

std::string no_drawback() {
  return "";
}

constexpr std::array kCandidates{
    Candidate{CollectorChoice::bpf, "bpf", linux_port::self_test_bpf,
              linux_port::make_bpf_collector, linux_port::make_bpf_machine_collector, no_drawback},
    Candidate{CollectorChoice::perf, "perf", linux_port::self_test_perf,
              linux_port::make_perf_collector, linux_port::make_perf_machine_collector,
              linux_port::perf_drawback},
    Candidate{CollectorChoice::ptrace, "ptrace", linux_port::self_test_ptrace,
              linux_port::make_ptrace_collector, nullptr, no_drawback},
};

// Those that can watch the whole machine come first.
constexpr std::size_t kMachineCandidates = 2;
static_assert(kCandidates[kMachineCandidates - 1].make_for_machine != nullptr &&
              kCandidates[kMachineCandidates].make_for_machine == nullptr);

// Whether another collector could still do what this one refused.
bool another_may_work(const Error& error) {
  switch (error.code) {
    case ErrorCode::permission_denied:
    case ErrorCode::not_supported:
    case ErrorCode::limit_reached:
    // To perf, a register stays taken in which an earlier ptrace session left a breakpoint,
    // disabled, that ptrace can use again.
    case ErrorCode::no_free_slot:
      return true;
    default:
      return false;
  }
}

// Tests a candidate and installs what it made. Errors: those of either.
Result<InstalledCollector> try_candidate(const Candidate& candidate,
                                         std::unique_ptr<linux_port::Collector> made,
                                         const WatchOptions& options,
                                         const linux_port::TargetScope& scope,
                                         const WatchedObject& object) {
  if (auto tested = candidate.self_test(); !tested)
    return std::unexpected(std::move(tested.error()));
  InstalledCollector installed;
  installed.collector = std::move(made);
  auto report =
      installed.collector->install(scope, object.plan, collector_options_for(options, object));
  if (!report) return std::unexpected(std::move(report.error()));
  installed.report = std::move(*report);
  installed.notes = installed.report.notes;
  return installed;
}

// How the summary compares the values of this object (report::is_less).
linux_port::ValueOrder order_of(const WatchedObject& object) {
  using linux_port::ValueOrder;
  const symbols::ValueType& type = object.type;
  if (type.length != object.request.length) return ValueOrder::none;
  switch (type.kind) {
    case symbols::ValueKind::bytes:
      return ValueOrder::none;
    case symbols::ValueKind::floating:
      return type.length == ByteCount{sizeof(float)} || type.length == ByteCount{sizeof(double)}
                 ? ValueOrder::as_floating
                 : ValueOrder::none;
    case symbols::ValueKind::signed_integer:
      return ValueOrder::as_signed;
    case symbols::ValueKind::character:
    case symbols::ValueKind::enumeration:
      return type.is_signed ? ValueOrder::as_signed : ValueOrder::as_unsigned;
    default:
      return ValueOrder::as_unsigned;
  }
}

// The kernel does not tell to whom the events of another process apply, so all are named.
Failure with_holders(Failure failure, const linux_port::TargetScope& scope) {
  const std::string holders =
      linux_port::describe_holders(linux_port::find_slot_holders(scope.pid));
  failure.message += holders.empty()
                         ? ". Nobody is seen to hold any: where a debugger has been before, it may "
                           "have left them taken until the thread ends; use --collector ptrace"
                         : ". Seen on this machine: " + holders;
  return failure;
}

// The first of the candidates that is asked for and works. `try_to_install(candidate)` gives a
// Result<InstalledCollector>; `explain_taken(failure)` says more where no collector gets a
// register.
template <typename TryToInstall, typename ExplainTaken>
Result<InstalledCollector> install_first(const WatchOptions& options,
                                         std::span<const Candidate> candidates,
                                         TryToInstall try_to_install, ExplainTaken explain_taken) {
  std::vector<std::string> refusals;
  std::optional<Failure> taken;  // what tells most where no collector gets a register
  for (const Candidate& candidate : candidates) {
    if (options.collector != CollectorChoice::automatic && options.collector != candidate.choice)
      continue;
    const bool is_last =
        &candidate == &candidates.back() || options.collector != CollectorChoice::automatic;
    const std::string drawback = is_last ? std::string() : candidate.drawback();
    auto installed = drawback.empty()
                         ? try_to_install(candidate)
                         : Result<InstalledCollector>(fail(ErrorCode::not_supported, drawback));
    if (installed) {
      installed->notes.insert(installed->notes.begin(), refusals.begin(), refusals.end());
      return installed;
    }
    Failure failure = std::move(installed.error());
    if (failure.error.code == ErrorCode::no_free_slot && !taken) taken = failure;
    if (!another_may_work(failure.error) || is_last) {
      if (taken) return std::unexpected(explain_taken(std::move(*taken)));
      for (const std::string& refusal : refusals) failure.message += "\n  " + refusal;
      return std::unexpected(std::move(failure));
    }
    refusals.push_back(
        fmt::format("collector {} was not used: {}", candidate.name, failure.message));
  }
  return fail(ErrorCode::wrong_state, "no collector is built in");
}

}  // namespace

linux_port::CollectorOptions collector_options_for(const WatchOptions& options,
                                                   const WatchedObject& object) {
  linux_port::CollectorOptions wanted;
  wanted.stack = options.stack;
  // A data hit's instruction is told from its registers even if its values are not wanted.
  // Execution traps at the instruction itself.
  wanted.registers =
      options.access != Access::execute || options.stack == linux_port::StackMode::dwarf;
  wanted.values = options.values && options.access != Access::execute;
  // A collector sees the bytes that a bit-field lies in, not its value.
  if (object.type.bits) return wanted;
  wanted.conditions = object.conditions;
  // A summary of the first N hits has to know which they are.
  if (options.summary && !options.max_hits) wanted.tally_order = order_of(object);
  return wanted;
}

Result<InstalledCollector> install_collector(const WatchOptions& options,
                                             const linux_port::TargetScope& scope,
                                             const WatchedObject& object) {
  const auto try_to_install = [&](const Candidate& candidate) {
    return try_candidate(candidate, candidate.make(), options, scope, object);
  };
  const auto explain_taken = [&](Failure failure) {
    return with_holders(std::move(failure), scope);
  };
  return install_first(options, kCandidates, try_to_install, explain_taken);
}

Result<InstalledCollector> install_machine_collector(const WatchOptions& options,
                                                     const MachineObject& found) {
  const auto try_to_install = [&](const Candidate& candidate) {
    std::unique_ptr<linux_port::Collector> made;
    if (found.file) {
      made = std::make_unique<FileCollector>(candidate.make_for_machine(), *found.file,
                                             found.object.request);
    } else {
      made = candidate.make_for_machine();
    }
    return try_candidate(candidate, std::move(made), options,
                         linux_port::TargetScope{.pid = {}, .whole_machine = true}, found.object);
  };
  // It names the holders already.
  const auto explain_taken = [](Failure failure) { return failure; };
  return install_first(options, std::span(kCandidates).first(kMachineCandidates), try_to_install,
                       explain_taken);
}

}  // namespace trapline::command
