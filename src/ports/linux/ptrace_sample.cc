#include "ports/linux/ptrace_sample.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <string>

#include "ports/linux/file_descriptor.h"
#include "ports/linux/native_architecture.h"
#include "ports/linux/perf_arch.h"
#include "ports/linux/whole_number.h"

namespace trapline::linux_port {
namespace {

constexpr std::size_t kMaxFrames = 127;  // kernel.perf_event_max_stack's default
constexpr ByteCount kMaxValue{8};
// A gap wider than this between two frames is not a stack: the frame pointer held something else.
constexpr std::uint64_t kMaxFrameSize = std::uint64_t{64} * 1024 * 1024;

// Stack memory around the walk, so that near frames cost one system call together.
class StackWindow {
 public:
  StackWindow(MemoryReader& memory, std::uint64_t start) : memory_(memory) { load(start); }

  [[nodiscard]] std::optional<std::uint64_t> word(std::uint64_t address) {
    if (address < start_ || address + sizeof(std::uint64_t) > start_ + length_ ||
        address + sizeof(std::uint64_t) < address) {
      load(address);
      if (length_ < sizeof(std::uint64_t)) return std::nullopt;
    }
    std::uint64_t value = 0;
    std::memcpy(&value, bytes_.data() + (address - start_), sizeof value);
    return value;
  }

 private:
  void load(std::uint64_t start) {
    start_ = start;
    length_ = memory_.read(RemoteAddress(start), bytes_);
  }

  MemoryReader& memory_;
  std::array<std::byte, 1024> bytes_{};
  std::uint64_t start_ = 0;
  std::size_t length_ = 0;
};

ByteCount length_of(const Plan& plan) {
  const SlotRequest& last = plan.slots().back();
  return last.address + last.length - plan.slots().front().address;
}

}  // namespace

std::optional<ThreadStat> parse_thread_stat(std::string_view text) {
  constexpr std::size_t kFirstAfterName = 3;
  constexpr std::size_t kParent = 4;
  constexpr std::size_t kProcessor = 39;
  const std::size_t open = text.find('(');
  const std::size_t close = text.rfind(')');  // a name may hold any character
  if (open == std::string_view::npos || close == std::string_view::npos || close < open)
    return std::nullopt;
  ThreadStat stat;
  const std::string_view name = text.substr(open + 1, close - open - 1);
  std::copy_n(name.begin(), std::min(name.size(), stat.comm.size() - 1), stat.comm.begin());
  std::string_view rest = text.substr(close + 1);
  for (std::size_t field = kFirstAfterName; field <= kProcessor; ++field) {
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    const std::string_view word = rest.substr(0, rest.find_first_of(" \n"));
    rest.remove_prefix(word.size());
    if (field == kParent) {
      const auto parent = parse_whole<std::int32_t>(word);
      if (!parent) return std::nullopt;
      stat.parent = ProcessId{*parent};
    } else if (field == kProcessor) {
      const auto cpu = parse_whole<std::uint32_t>(word);
      if (!cpu) return std::nullopt;
      stat.cpu = CpuId{*cpu};
    }
  }
  return stat;
}

std::optional<ThreadStat> read_thread_stat(ProcessId pid, ThreadId tid) {
  // Once per hit: one read instead of read_file's until the end. The line is shorter than this.
  const std::string path =
      "/proc/" + std::to_string(pid.value) + "/task/" + std::to_string(tid.value) + "/stat";
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 2048> text;
  const ssize_t count = file.is_open() ? ::read(file.get(), text.data(), text.size()) : 0;
  if (count <= 0) return std::nullopt;
  return parse_thread_stat({text.data(), static_cast<std::size_t>(count)});
}

void walk_frames(MemoryReader& memory, const FrameRegisters& from,
                 std::vector<RemoteAddress>& callers) {
  callers.clear();
  if (!from.stack || !from.frame) return;
  StackWindow window(memory, *from.stack);
  std::uint64_t lowest = *from.stack;
  std::uint64_t frame = *from.frame;
  while (callers.size() < kMaxFrames) {
    if (frame < lowest || frame - lowest > kMaxFrameSize || frame % sizeof(std::uint64_t) != 0)
      return;
    const auto next = window.word(frame);
    const auto caller = window.word(frame + sizeof(std::uint64_t));
    if (!next || !caller || *caller == 0) return;
    callers.emplace_back(*caller);
    lowest = frame + 2 * sizeof(std::uint64_t);
    frame = *next;
  }
}

SampleBuilder::SampleBuilder(const Plan& plan, const CollectorOptions& options, bool exact_values)
    : plan_(plan), options_(options), exact_values_(exact_values) {}

const Sample* SampleBuilder::build(const Subject& subject, RemoteMemory& memory) {
  const auto registers = read_user_registers(subject.tid);
  const auto stat = read_thread_stat(subject.pid, subject.tid);
  if (!registers || !stat) return nullptr;
  const SlotRequest& slot = plan_.slots()[subject.slot];
  const FrameRegisters frame = frame_registers(*registers);
  sample_ = Sample{};
  Hit& hit = sample_.hit;
  hit.time = subject.time;
  hit.pid = subject.pid;
  hit.tid = subject.tid;
  hit.cpu = stat->cpu;
  hit.comm = stat->comm;
  hit.address = slot.address;
  hit.length = slot.length;
  hit.access = slot.access;
  hit.trap_ip = RemoteAddress(frame.instruction.value_or(0));
  if (options_.registers) sample_.registers = *registers;
  if (slot.access != Access::execute) {
    MemoryValue& value =
        native_debug_architecture().traps_before_access ? hit.old_value : hit.new_value;
    value = read_value(subject, memory);
  }
  read_stack(frame, memory);
  return &sample_;
}

MemoryValue SampleBuilder::read_value(const Subject& subject, RemoteMemory& memory) const {
  RemoteAddress address = plan_.slots().front().address;
  ByteCount length = length_of(plan_);
  if (length > kMaxValue) {
    address = plan_.slots()[subject.slot].address;
    length = plan_.slots()[subject.slot].length;
  }
  std::array<std::byte, kMaxValue.value> bytes{};
  if (length > kMaxValue ||
      memory.read(address, std::span(bytes).first(size_of_own(length))) != length.value)
    return {};
  MemoryValue value;
  for (std::size_t i = 0; i < length.value; ++i)
    value.bits |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  value.certainty =
      exact_values_ && subject.only_thread ? Certainty::exact : Certainty::approximate;
  return value;
}

void SampleBuilder::read_stack(const FrameRegisters& frame, RemoteMemory& memory) {
  if (options_.stack == StackMode::frame_pointer) {
    walk_frames(memory, frame, callers_);
    sample_.hit.callers = callers_;
    if (frame.link) sample_.stack_top = code_address(RemoteAddress(*frame.link));
    if (!frame.stack || !native_perf_architecture().return_address_on_stack) return;
    if (const auto word = memory.read_object<std::uint64_t>(RemoteAddress(*frame.stack))) {
      sample_.stack_top = RemoteAddress(*word);
    }
  } else if (options_.stack == StackMode::dwarf && frame.stack) {
    stack_.resize(static_cast<std::size_t>(options_.dwarf_stack_bytes.value));
    const std::size_t count = memory.read(RemoteAddress(*frame.stack), stack_);
    sample_.stack_bytes = std::span(stack_).first(count);
  }
}

}  // namespace trapline::linux_port
