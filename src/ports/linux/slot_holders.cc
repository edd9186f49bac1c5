#include "ports/linux/slot_holders.h"

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <ranges>
#include <system_error>

#include "ports/linux/file_descriptor.h"
#include "ports/linux/proc_fs.h"

namespace trapline::linux_port {
namespace {

namespace fs = std::filesystem;

// More event types than any machine registers: numbers are handed out from PERF_TYPE_MAX upwards.
// Not all of them are listed under /sys/bus/event_source (task-clock's is not on 6.18), so all
// numbers are asked for.
constexpr std::uint32_t kEventTypes = 256;

// Whether an event is a breakpoint: it is none of the other types. nullopt if the kernel does not
// answer as expected.
std::optional<bool> is_breakpoint(int event) {
  for (std::uint32_t type = 0; type < kEventTypes; ++type) {
    if (type == PERF_TYPE_BREAKPOINT) continue;
    perf_event_attr attributes{};
    attributes.size = sizeof attributes;
    attributes.type = type;
    if (::ioctl(event, PERF_EVENT_IOC_MODIFY_ATTRIBUTES, &attributes) == 0) return std::nullopt;
    if (errno == EOPNOTSUPP) return false;
    if (errno != EINVAL) return std::nullopt;
  }
  return true;
}

// The numbers of the descriptors of `pid` that are perf events; empty if they may not be seen.
std::vector<int> perf_descriptors(ProcessId pid) {
  std::vector<int> descriptors;
  std::error_code error;
  for (const auto& entry :
       fs::directory_iterator("/proc/" + std::to_string(pid.value) + "/fd", error)) {
    if (fs::read_symlink(entry.path(), error) == "anon_inode:[perf_event]") {
      descriptors.push_back(std::atoi(entry.path().filename().c_str()));
    }
  }
  return descriptors;
}

// How many events of one process are breakpoints, and of how many that could not be told.
struct EventCount {
  std::size_t breakpoints = 0;
  std::size_t unknown = 0;
};

EventCount count_events(ProcessId pid, std::span<const int> descriptors) {
  EventCount count;
  const FileDescriptor process(static_cast<int>(::syscall(SYS_pidfd_open, pid.value, 0)));
  for (const int descriptor : descriptors) {
    const FileDescriptor copy(
        static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), descriptor, 0)));
    const auto answer = copy.is_open() ? is_breakpoint(copy.get()) : std::nullopt;
    if (!answer) {
      ++count.unknown;
    } else if (*answer) {
      ++count.breakpoints;
    }
  }
  return count;
}

std::vector<SlotHolder> find_tracers(std::optional<ProcessId> target) {
  std::map<ProcessId, SlotHolder> tracers;
  for (const ProcessId pid : target ? std::vector{*target} : list_processes()) {
    const auto threads = list_threads(pid);
    if (!threads) continue;
    for (const ThreadId tid : *threads) {
      const auto status = read_status(pid, tid);
      if (!status || status->tracer.value == 0 || status->tracer.value == ::getpid()) continue;
      SlotHolder& holder = tracers[status->tracer];
      holder.kind = SlotHolder::Kind::tracer;
      holder.pid = status->tracer;
      holder.name = thread_name(status->tracer, ThreadId{status->tracer.value});
      holder.traced = pid;
      ++holder.count;
    }
  }
  const auto holders = std::views::values(tracers);
  return {holders.begin(), holders.end()};
}

}  // namespace

std::vector<SlotHolder> find_slot_holders(std::optional<ProcessId> target) {
  std::vector<SlotHolder> holders = find_tracers(target);
  for (const ProcessId pid : list_processes()) {
    if (pid.value == ::getpid()) continue;
    const std::vector<int> descriptors = perf_descriptors(pid);
    if (descriptors.empty()) continue;
    const EventCount count = count_events(pid, descriptors);
    const std::string name = thread_name(pid, ThreadId{pid.value});
    if (count.breakpoints > 0) {
      holders.push_back(
          {SlotHolder::Kind::breakpoint_events, pid, name, count.breakpoints, std::nullopt});
    }
    if (count.unknown > 0) {
      holders.push_back({SlotHolder::Kind::unknown_events, pid, name, count.unknown, std::nullopt});
    }
  }
  return holders;
}

std::string describe_holders(std::span<const SlotHolder> holders) {
  std::string text;
  for (const SlotHolder& holder : holders) {
    if (!text.empty()) text += "; ";
    text.append(holder.name).append(" (pid ").append(std::to_string(holder.pid.value)).append(") ");
    const char* const plural = holder.count == 1 ? "" : "s";
    switch (holder.kind) {
      case SlotHolder::Kind::tracer:
        text += "traces ";
        text += holder.traced ? "pid " + std::to_string(holder.traced->value) : "a process";
        break;
      case SlotHolder::Kind::breakpoint_events:
        text.append("has ")
            .append(std::to_string(holder.count))
            .append(" breakpoint event")
            .append(plural)
            .append(" open");
        break;
      case SlotHolder::Kind::unknown_events:
        text.append("has ")
            .append(std::to_string(holder.count))
            .append(" perf event")
            .append(plural);
        text += " open, perhaps breakpoints";
        break;
    }
  }
  return text;
}

}  // namespace trapline::linux_port
