#include "ports/linux/perf_event.h"

#include <linux/hw_breakpoint.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <string>
#include <utility>

#include "ports/linux/perf_arch.h"
#include "ports/linux/privileges.h"
#include "ports/linux/proc_fs.h"

namespace trapline::linux_port {
namespace {

// The kernel wants a multiple of 8 below 64 KiB (kernel/events/core.c, perf_copy_attr).
constexpr std::uint64_t kMaxStackBytes = 65528;

std::uint32_t breakpoint_type(Access access) {
  switch (access) {
    case Access::read:
      return HW_BREAKPOINT_R;
    case Access::write:
      return HW_BREAKPOINT_W;
    case Access::read_write:
      return HW_BREAKPOINT_RW;
    case Access::execute:
      return HW_BREAKPOINT_X;
  }
  return HW_BREAKPOINT_EMPTY;
}

void ask_for_stack(perf_event_attr& attributes, const PerfEventOptions& options) {
  switch (options.stack) {
    case StackMode::none:
      break;
    case StackMode::frame_pointer:
      attributes.sample_type |= PERF_SAMPLE_CALLCHAIN;
      if (native_perf_architecture().return_address_on_stack) {
        attributes.sample_type |= PERF_SAMPLE_STACK_USER;
        attributes.sample_stack_user = sizeof(std::uint64_t);
      }
      break;
    case StackMode::dwarf:
      // The user side is unwound from the copied bytes; the kernel's side can only be had here.
      attributes.sample_type |= PERF_SAMPLE_CALLCHAIN | PERF_SAMPLE_STACK_USER;
      attributes.exclude_callchain_user = 1;
      attributes.sample_stack_user = static_cast<std::uint32_t>(
          std::clamp<std::uint64_t>(options.dwarf_stack_bytes.value & ~7ULL, 8, kMaxStackBytes));
      break;
  }
}

void ask_for_registers(perf_event_attr& attributes, const PerfEventOptions& options) {
  const PerfArchitecture arch = native_perf_architecture();
  if (options.registers || options.stack == StackMode::dwarf) {
    attributes.sample_regs_user = arch.registers;
  } else {
    // Where the system call was made, and where a function without a frame returns to.
    if (options.kernel_accesses)
      attributes.sample_regs_user |= std::uint64_t{1} << arch.instruction_pointer;
    if (options.stack == StackMode::frame_pointer && arch.link_register)
      attributes.sample_regs_user |= std::uint64_t{1} << *arch.link_register;
    if (attributes.sample_regs_user == 0) return;
  }
  attributes.sample_type |= PERF_SAMPLE_REGS_USER;
}

perf_event_attr common_attributes() {
  perf_event_attr attributes{};
  attributes.size = sizeof attributes;
  attributes.disabled = 1;
  attributes.exclude_hv = 1;
  attributes.watermark = 1;
  attributes.sample_id_all = 1;
  // All events of a ring have to agree on the clock.
  attributes.use_clockid = 1;
  attributes.clockid = CLOCK_MONOTONIC;
  return attributes;
}

void report_tasks(perf_event_attr& attributes) {
  attributes.task = 1;
  attributes.comm = 1;
  attributes.comm_exec = 1;
  attributes.mmap = 1;
}

std::string hex(std::uint64_t value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  do {
    text.insert(text.begin(), kDigits[value & 15]);
    value >>= 4;
  } while (value != 0);
  return "0x" + text;
}

std::string describe(const SlotRequest& slot) {
  return std::to_string(slot.length.value) + " bytes at " + hex(slot.address.value()) +
         " for access '" + std::string(name_of(slot.access)) + "'";
}

Failure refused_by_settings(int error, const OpenContext& context) {
  constexpr int kUnprivilegedUsersMayMeasureThemselves = 2;
  if (context.paranoid.value_or(0) > kUnprivilegedUsersMayMeasureThemselves) {
    return {{ErrorCode::permission_denied, error},
            paranoid_obstacle(*context.paranoid) + ", or use --collector ptrace"};
  }
  return {{ErrorCode::permission_denied, error},
          "the system forbids perf_event_open although kernel.perf_event_paranoid is " +
              (context.paranoid ? std::to_string(*context.paranoid) : "unknown") +
              ": most likely the seccomp filter of a container; give it CAP_PERFMON and a filter "
              "that allows the call, or use --collector ptrace"};
}

Failure target_out_of_reach(int error, const OpenContext& context) {
  const std::string pid = std::to_string(context.pid.value);
  return {{ErrorCode::permission_denied, error},
          "process " + pid +
              " may not be inspected by this user: watching it needs the same user and a process "
              "that is not set-uid, or CAP_PERFMON; run as root, or give the command "
              "cap_perfmon,cap_sys_ptrace (kernel.perf_event_paranoid is " +
              (context.paranoid ? std::to_string(*context.paranoid) : "unknown") + ")"};
}

Failure refused_as_invalid(int error, const SlotRequest& slot) {
  if (slot.access == Access::read) {
    return {{ErrorCode::access_unsupported, error},
            "this machine cannot tell reads from writes: ask for access rw instead of r"};
  }
  const bool aligned = slot.length.value != 0 && slot.address.value() % slot.length.value == 0;
  return {
      {aligned || slot.access == Access::execute ? ErrorCode::bad_length : ErrorCode::misaligned,
       error},
      "the kernel refuses to watch " + describe(slot) +
          "; see what this machine can watch with: trapline doctor"};
}

}  // namespace

Access perf_access(Access wanted) {
  const bool is_one_kind = wanted == Access::read || wanted == Access::write;
  return is_one_kind && !native_perf_architecture().tells_kinds ? Access::read_write : wanted;
}

perf_event_attr breakpoint_attributes(const SlotRequest& slot, const PerfEventOptions& options) {
  perf_event_attr attributes = common_attributes();
  attributes.type = PERF_TYPE_BREAKPOINT;
  attributes.bp_type = breakpoint_type(perf_access(slot.access));
  attributes.bp_addr = slot.address.value();
  attributes.bp_len = slot.length.value;
  attributes.sample_period = 1;
  attributes.exclude_kernel = options.kernel_accesses ? 0 : 1;
  attributes.sample_type = PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP | PERF_SAMPLE_TID |
                           PERF_SAMPLE_TIME | PERF_SAMPLE_ADDR | PERF_SAMPLE_CPU;
  ask_for_stack(attributes, options);
  ask_for_registers(attributes, options);

  attributes.inherit = options.inheritance == Inheritance::none ? 0 : 1;
  if (options.has_inherit_thread) {
    attributes.inherit_thread = options.inheritance == Inheritance::threads ? 1 : 0;
    attributes.remove_on_exec = 1;
  }
  if (options.reports_tasks) report_tasks(attributes);
  return attributes;
}

std::vector<perf_event_attr> breakpoint_attributes(const Plan& plan, PerfEventOptions options) {
  std::vector<perf_event_attr> attributes;
  attributes.reserve(plan.slots().size());
  for (const SlotRequest& slot : plan.slots()) {
    attributes.push_back(breakpoint_attributes(slot, options));
    options.reports_tasks = false;
  }
  return attributes;
}

perf_event_attr sigtrap_attributes(const SlotRequest& slot, std::uint64_t data) {
  perf_event_attr attributes = breakpoint_attributes(
      slot, {.kernel_accesses = false, .stack = StackMode::none, .registers = false});
  // Nobody looks at the instruction: what the kernel cannot tell apart, it is to refuse.
  attributes.bp_type = breakpoint_type(slot.access);
  attributes.sample_type = 0;
  attributes.sigtrap = 1;
  attributes.sig_data = data;
  return attributes;
}

perf_event_attr ring_owner_attributes(std::uint32_t wakeup_bytes) {
  perf_event_attr attributes = common_attributes();
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_DUMMY;
  attributes.exclude_kernel = 1;  // or kernel.perf_event_paranoid=2 would refuse it
  attributes.wakeup_watermark = wakeup_bytes;
  return attributes;
}

perf_event_attr sign_of_life_attributes() {
  perf_event_attr attributes = common_attributes();
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_DUMMY;
  attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED;
  return attributes;
}

perf_event_attr task_attributes(const perf_event_attr& breakpoint) {
  perf_event_attr attributes = sign_of_life_attributes();
  // Registers and stacks are no part of what every record ends with (sample_id_all).
  attributes.sample_type =
      breakpoint.sample_type & ~std::uint64_t{PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER};
  report_tasks(attributes);
  return attributes;
}

SampleLayout layout_of(const perf_event_attr& attributes) {
  return {.sample_type = attributes.sample_type, .register_mask = attributes.sample_regs_user};
}

std::expected<PerfEvent, int> PerfEvent::open(const perf_event_attr& attributes, ThreadId tid,
                                              std::optional<CpuId> cpu) {
  const int cpu_number = cpu ? static_cast<int>(cpu->value) : -1;
  constexpr int kNoGroup = -1;
  const long fd = ::syscall(SYS_perf_event_open, &attributes, tid.value, cpu_number, kNoGroup,
                            PERF_FLAG_FD_CLOEXEC);
  if (fd < 0) return std::unexpected(errno);
  FileDescriptor owned(static_cast<int>(fd));
  std::uint64_t id = 0;
  if (::ioctl(owned.get(), PERF_EVENT_IOC_ID, &id) != 0) return std::unexpected(errno);
  return PerfEvent(std::move(owned), id);
}

std::expected<void, int> PerfEvent::redirect_to(const PerfEvent& owner) const {
  if (::ioctl(fd_.get(), PERF_EVENT_IOC_SET_OUTPUT, owner.descriptor()) != 0)
    return std::unexpected(errno);
  return {};
}

std::expected<void, int> PerfEvent::set_program(int program) const {
  if (::ioctl(fd_.get(), PERF_EVENT_IOC_SET_BPF, program) != 0) return std::unexpected(errno);
  return {};
}

std::expected<void, int> PerfEvent::renew(perf_event_attr attributes) const {
  attributes.disabled = 0;
  if (::ioctl(fd_.get(), PERF_EVENT_IOC_MODIFY_ATTRIBUTES, &attributes) != 0)
    return std::unexpected(errno);
  return {};
}

std::expected<void, int> PerfEvent::enable() const {
  if (::ioctl(fd_.get(), PERF_EVENT_IOC_ENABLE, 0) != 0) return std::unexpected(errno);
  return {};
}

std::expected<PerfEvent, int> PerfEvent::open_on_cpu(const perf_event_attr& attributes, CpuId cpu) {
  constexpr ThreadId kAnybody{-1};  // perf_event_open(2): pid == -1 and cpu >= 0
  return open(attributes, kAnybody, cpu);
}

void PerfEvent::disable() const {
  ::ioctl(fd_.get(), PERF_EVENT_IOC_DISABLE, 0);
}

std::optional<std::uint64_t> PerfEvent::count() const {
  std::uint64_t value = 0;
  // A counter is read at once, so callers may hold a lock.
  // NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection)
  if (::read(fd_.get(), &value, sizeof value) != sizeof value) return std::nullopt;
  return value;
}

std::optional<Nanoseconds> PerfEvent::enabled_time() const {
  struct {
    std::uint64_t count;
    std::uint64_t enabled;
  } values{};
  // NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection): as above
  if (::read(fd_.get(), &values, sizeof values) != sizeof values) return std::nullopt;
  return Nanoseconds{values.enabled};
}

bool PerfEvent::is_hung_up() const {
  pollfd request{.fd = fd_.get(), .events = 0, .revents = 0};
  return ::poll(&request, 1, 0) == 1 && (request.revents & (POLLHUP | POLLERR)) != 0;
}

Failure explain_open_error(int error, const OpenContext& context) {
  const std::string tid = std::to_string(context.tid.value);
  switch (error) {
    case ENOSPC:
      return {{ErrorCode::no_free_slot, error},
              "too few free debug registers in thread " + tid + ": the watch needs " +
                  std::to_string(context.slots) +
                  " in each thread and others hold the rest. Close the debugger or profiler that "
                  "has them (trapline doctor names it), or watch fewer bytes"};
    case EACCES:
    case EPERM:
      return context.perf_works_on_oneself ? target_out_of_reach(error, context)
                                           : refused_by_settings(error, context);
    case EINVAL:
      return refused_as_invalid(error, context.slot);
    case EMFILE:
    case ENFILE:
      return {{ErrorCode::limit_reached, error},
              "no descriptors are left for thread " + tid +
                  " (each thread needs one per slot and CPU); raise the limit with: ulimit -n, or "
                  "watch a single thread with -p TID"};
    case ENOMEM:
      return {{ErrorCode::limit_reached, error},
              "the kernel has no memory left for the events of thread " + tid +
                  "; watch a single thread with -p TID"};
    case ESRCH:
      return {{ErrorCode::no_such_process, error},
              "there is no process " + std::to_string(context.pid.value) +
                  ", or it has just ended; check with: ps -p " + std::to_string(context.pid.value)};
    case ENOSYS:
    case EOPNOTSUPP:
    case ENOENT:
    case ENODEV:
      return {{ErrorCode::not_supported, error},
              "this kernel has no perf events for debug registers (CONFIG_PERF_EVENTS and "
              "CONFIG_HAVE_HW_BREAKPOINT); use --collector ptrace"};
    default:
      return {{ErrorCode::os_failure, error},
              "the kernel refuses to watch " + describe(context.slot) + " in thread " + tid +
                  " with error " + std::to_string(error) +
                  "; try --collector ptrace, and please report this"};
  }
}

std::optional<std::int64_t> perf_event_paranoid() {
  return read_number("/proc/sys/kernel/perf_event_paranoid");
}

}  // namespace trapline::linux_port
