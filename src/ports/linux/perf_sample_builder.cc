#include "ports/linux/perf_sample_builder.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <string>

#include "ports/linux/perf_arch.h"
#include "ports/linux/perf_event.h"
#include "ports/linux/proc_fs.h"
#include "ports/linux/ptrace_arch.h"

namespace trapline::linux_port {
namespace {

constexpr std::size_t kMaxNames = 16'384;

std::span<const RemoteAddress> without_first(const std::vector<RemoteAddress>& chain) {
  return chain.empty() ? std::span<const RemoteAddress>{} : std::span(chain).subspan(1);
}

// Where a call has left it, if the function called has not moved it.
std::optional<RemoteAddress> return_address(const PerfSample& record) {
  if (const auto link = native_perf_architecture().link_register) {
    const auto value = record.registers.get(*link);
    return value ? std::optional(code_address(RemoteAddress(*value))) : std::nullopt;
  }
  std::uint64_t word = 0;
  if (record.stack.size() < sizeof word) return std::nullopt;
  std::memcpy(&word, record.stack.data(), sizeof word);
  return RemoteAddress(word);
}

}  // namespace

const PerfThreadNames::Name& PerfThreadNames::of(ProcessId pid, ThreadId tid) {
  const auto found = names_.find(tid.value);
  if (found != names_.end()) return found->second;
  make_room();
  // The idle loops of all CPUs are "thread 0", which /proc does not have; the kernel calls it so.
  const std::string text = tid.value == 0 ? "swapper" : thread_name(pid, tid);
  Name name{};
  text.copy(name.data(), name.size() - 1);
  return names_.emplace(tid.value, name).first->second;
}

void PerfThreadNames::renamed(ThreadId tid, const Name& name) {
  make_room();
  names_.insert_or_assign(tid.value, name);
}

void PerfThreadNames::make_room() {
  if (names_.size() >= kMaxNames) names_.clear();
}

std::optional<Sample> PerfSampleBuilder::build(const PerfSample& record,
                                               const PerfThreadNames::Name& name) const {
  const auto slots = plan_.slots();
  const auto slot = std::find_if(slots.begin(), slots.end(), [&](const SlotRequest& candidate) {
    return candidate.address == record.address;
  });
  if (slot == slots.end()) return std::nullopt;

  Sample sample;
  sample.hit.time = record.time;
  sample.hit.pid = record.pid;
  sample.hit.tid = record.tid;
  sample.hit.cpu = record.cpu;
  sample.hit.comm = name;
  sample.hit.address = slot->address;
  sample.hit.length = slot->length;
  sample.hit.access = perf_access(slot->access);
  sample.hit.trap_ip = record.ip;
  sample.hit.in_kernel = record.in_kernel;
  sample.registers = record.registers;
  if (stack_ == StackMode::dwarf) sample.stack_bytes = record.stack;
  if (stack_ == StackMode::frame_pointer) sample.stack_top = return_address(record);

  if (record.in_kernel) {
    sample.kernel_stack = without_first(record.kernel_chain);
    if (!record.user_chain.empty()) {
      sample.user_ip = record.user_chain.front();
    } else if (const auto ip =
                   record.registers.get(native_perf_architecture().instruction_pointer)) {
      sample.user_ip = RemoteAddress(*ip);
    }
  }
  sample.hit.callers = without_first(record.user_chain);
  return sample;
}

}  // namespace trapline::linux_port
