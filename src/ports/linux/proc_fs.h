// What /proc says of a process. Parsers are pure (text in, values out) so that they can be fuzzed;
// readers do the I/O.
//
// Sources: Documentation/filesystems/proc.rst; proc(5). A process may end between any two reads:
// that is no_such_process, not a crash, and never a mixture of two processes' data presented as
// one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/failure.h"
#include "trapline/base/address.h"
#include "trapline/base/cpu_set.h"
#include "trapline/base/units.h"

namespace trapline::linux_port {

struct Mapping {
  RemoteAddress start;
  RemoteAddress end;
  bool readable = false;
  bool writable = false;
  bool executable = false;
  bool shared = false;
  std::uint64_t file_offset = 0;
  std::uint64_t inode = 0;
  std::string path;  // "" for anonymous memory; "[heap]"; may end in " (deleted)"

  [[nodiscard]] bool contains(RemoteAddress address) const {
    return start <= address && address < end;
  }
};

// Lines that do not parse are errors, not skipped: bad_syntax.
[[nodiscard]] std::expected<std::vector<Mapping>, Error> parse_maps(std::string_view text);

struct ProcessStatus {
  std::string name;
  char state = '?';  // R S D T t Z X
  ProcessId tgid;
  ThreadId tid;
  ProcessId tracer;  // 0: not traced
  std::uint32_t effective_uid = 0;
  std::optional<std::uint32_t> effective_gid;
  std::uint64_t effective_capabilities = 0;             // CapEff, a bit mask by capability number
  std::optional<std::uint64_t> permitted_capabilities;  // CapPrm
  std::optional<std::uint64_t> bounding_capabilities;   // CapBnd
  bool no_new_privileges = false;                       // prctl(PR_SET_NO_NEW_PRIVS)
  int seccomp_mode = 0;                                 // 0 off, 1 strict, 2 filter

  // It runs no more, and may wait to be collected.
  [[nodiscard]] bool has_ended() const { return state == 'Z' || state == 'X'; }
};
[[nodiscard]] std::expected<ProcessStatus, Error> parse_status(std::string_view text);

// Native-endian pairs of words, as the kernel lays out /proc/PID/auxv. nullopt if `type` is not in
// it.
[[nodiscard]] std::optional<std::uint64_t> find_auxv(std::string_view bytes, std::uint64_t type);

// Reads a whole (virtual) file. no_such_process for ENOENT and ESRCH, permission_denied,
// os_failure.
[[nodiscard]] std::expected<std::string, Error> read_file(const std::string& path);

[[nodiscard]] Result<std::vector<Mapping>> read_maps(ProcessId pid);
// Whether only the process itself can write to all these bytes. False where that cannot be told.
[[nodiscard]] bool is_private_memory(ProcessId pid, RemoteAddress start, ByteCount length);
[[nodiscard]] Result<ProcessStatus> read_status(ProcessId pid);
[[nodiscard]] Result<ProcessStatus> read_status(ProcessId pid, ThreadId tid);
// Every thread at this moment, ascending.
[[nodiscard]] Result<std::vector<ThreadId>> list_threads(ProcessId pid);
[[nodiscard]] std::vector<ProcessId> list_processes();
// The thread group `tid` belongs to: tells a thread from a process. no_such_process if there is
// neither.
[[nodiscard]] Result<ProcessId> process_of(ThreadId tid);
// "" if it is gone.
[[nodiscard]] std::string thread_name(ProcessId pid, ThreadId tid);
[[nodiscard]] std::string executable_path(ProcessId pid);

// /sys/devices/system/cpu/{online,possible}.
[[nodiscard]] Result<CpuSet> online_cpus();
[[nodiscard]] Result<CpuSet> possible_cpus();

// A sysctl or other one-number file; nullopt if it does not exist (kernel.yama.ptrace_scope without
// Yama).
[[nodiscard]] std::optional<std::int64_t> read_number(const std::string& path);

}  // namespace trapline::linux_port
