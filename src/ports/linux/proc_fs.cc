#include "ports/linux/proc_fs.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "ports/linux/file_descriptor.h"
#include "ports/linux/whole_number.h"

namespace trapline::linux_port {
namespace {

constexpr Error kBadSyntax{ErrorCode::bad_syntax};

// What stands before `separator`, which is taken away with it; all of it if there is none.
std::string_view take_until(std::string_view& text, char separator) {
  const std::size_t at = text.find(separator);
  const std::string_view head = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return head;
}

std::string_view trim_left(std::string_view text) {
  const std::size_t at = text.find_first_not_of(" \t");
  return at == std::string_view::npos ? std::string_view{} : text.substr(at);
}

// The kernel writes a newline in a path as \012 (fs/seq_file.c, mangle_path) and one in a name as
// \n (fs/proc/array.c, proc_task_name).
std::string unescape(std::string_view text, std::string_view escaped, char plain) {
  std::string result;
  while (true) {
    const std::size_t at = text.find(escaped);
    result.append(text.substr(0, at));
    if (at == std::string_view::npos) return result;
    result.push_back(plain);
    text.remove_prefix(at + escaped.size());
  }
}

bool parse_permissions(std::string_view text, Mapping& mapping) {
  constexpr std::array<std::string_view, 4> kLetters = {"r-", "w-", "x-", "sp"};
  if (text.size() != kLetters.size()) return false;
  for (std::size_t i = 0; i < kLetters.size(); ++i) {
    if (kLetters[i].find(text[i]) == std::string_view::npos) return false;
  }
  mapping.readable = text[0] == 'r';
  mapping.writable = text[1] == 'w';
  mapping.executable = text[2] == 'x';
  mapping.shared = text[3] == 's';
  return true;
}

// "START-END PERMS OFFSET DEV INODE      PATH"
std::optional<Mapping> parse_maps_line(std::string_view line) {
  Mapping mapping;
  const auto start = parse_whole<std::uint64_t>(take_until(line, '-'), 16);
  const auto end = parse_whole<std::uint64_t>(take_until(line, ' '), 16);
  if (!start || !end || *end < *start) return std::nullopt;
  if (!parse_permissions(take_until(line, ' '), mapping)) return std::nullopt;
  const auto offset = parse_whole<std::uint64_t>(take_until(line, ' '), 16);
  std::string_view device = take_until(line, ' ');
  const auto major = parse_whole<std::uint32_t>(take_until(device, ':'), 16);
  const auto minor = parse_whole<std::uint32_t>(device, 16);
  const auto inode = parse_whole<std::uint64_t>(take_until(line, ' '));
  if (!offset || !major || !minor || !inode) return std::nullopt;
  mapping.start = RemoteAddress(*start);
  mapping.end = RemoteAddress(*end);
  mapping.file_offset = *offset;
  mapping.inode = *inode;
  mapping.path = unescape(trim_left(line), "\\012", '\n');
  return mapping;
}

// The field's value from "Key:\tvalue" lines; nullopt if there is no such line.
std::optional<std::string_view> find_field(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::string_view line = take_until(text, '\n');
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ':')
      return trim_left(line.substr(key.size() + 1));
  }
  return std::nullopt;
}

template <typename Number>
std::optional<Number> find_number(std::string_view text, std::string_view key, int base = 10) {
  const auto field = find_field(text, key);
  if (!field) return std::nullopt;
  return parse_whole<Number>(*field, base);
}

// "Uid" and "Gid" have four: real, effective, saved, of the file system.
std::optional<std::uint32_t> find_effective_id(std::string_view text, std::string_view key) {
  auto ids = find_field(text, key);
  if (!ids) return std::nullopt;
  take_until(*ids, '\t');
  return parse_whole<std::uint32_t>(take_until(*ids, '\t'));
}

Error error_of_open(int error) {
  switch (error) {
    case ENOENT:
    case ESRCH:
      return {ErrorCode::no_such_process, error};
    case EACCES:
    case EPERM:
      return {ErrorCode::permission_denied, error};
    case EMFILE:
    case ENFILE:
      return {ErrorCode::limit_reached, error};
    default:
      return {ErrorCode::os_failure, error};
  }
}

// The sentence for a /proc file of `pid` that could not be read.
std::unexpected<Failure> explain(Error error, ProcessId pid, const std::string& path) {
  const std::string number = std::to_string(pid.value);
  switch (error.code) {
    case ErrorCode::no_such_process:
      return fail(
          error.code,
          "there is no process " + number + ", or it has just ended; check with: ps -p " + number,
          error.os_errno);
    case ErrorCode::permission_denied:
      return fail(
          error.code,
          path + " may not be read by this user; run as root or as the owner of process " + number,
          error.os_errno);
    case ErrorCode::bad_syntax:
      return fail(error.code,
                  path +
                      " is not in the form this version of trapline knows; please report this, "
                      "with the output of: cat " +
                      path);
    default:
      return fail(error.code,
                  path + " cannot be read (error " + std::to_string(error.os_errno) +
                      "); check that /proc is mounted and that descriptors are left (ulimit -n)",
                  error.os_errno);
  }
}

std::string proc_path(ProcessId pid, std::string_view file) {
  return "/proc/" + std::to_string(pid.value) + "/" + std::string(file);
}

std::string task_path(ProcessId pid, ThreadId tid, std::string_view file) {
  return proc_path(pid, "task/" + std::to_string(tid.value) + "/" + std::string(file));
}

Result<ProcessStatus> read_status_at(const std::string& path, ProcessId named_in_message) {
  const auto text = read_file(path);
  if (!text) return explain(text.error(), named_in_message, path);
  const auto status = parse_status(*text);
  if (!status) return explain(status.error(), named_in_message, path);
  return *status;
}

// The numbers among the names in a folder, ascending.
std::expected<std::vector<std::int32_t>, Error> list_numbers(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), ::closedir);
  if (!folder) return std::unexpected(error_of_open(errno));
  std::vector<std::int32_t> numbers;
  errno = 0;
  // readdir is safe here: the stream belongs to this call alone.
  while (const dirent* entry = ::readdir(folder.get())) {  // NOLINT(concurrency-mt-unsafe)
    if (const auto number = parse_whole<std::int32_t>(entry->d_name)) numbers.push_back(*number);
    errno = 0;
  }
  if (errno != 0) return std::unexpected(error_of_open(errno));
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

Result<CpuSet> read_cpu_list(const std::string& path) {
  const auto text = read_file(path);
  if (!text) {
    return fail(ErrorCode::os_failure,
                path +
                    " cannot be read, so the CPUs of this machine are unknown; check that /sys "
                    "is mounted",
                text.error().os_errno);
  }
  const auto cpus = parse_cpu_list(*text);
  if (!cpus) {
    return fail(cpus.error().code,
                path +
                    " does not hold a list of CPUs that this version of trapline knows; please "
                    "report this, with its content");
  }
  return *cpus;
}

}  // namespace

std::expected<std::vector<Mapping>, Error> parse_maps(std::string_view text) {
  std::vector<Mapping> mappings;
  while (!text.empty()) {
    auto mapping = parse_maps_line(take_until(text, '\n'));
    if (!mapping) return std::unexpected(kBadSyntax);
    mappings.push_back(*std::move(mapping));
  }
  return mappings;
}

std::expected<ProcessStatus, Error> parse_status(std::string_view text) {
  const auto name = find_field(text, "Name");
  const auto state = find_field(text, "State");
  const auto tgid = find_number<std::int32_t>(text, "Tgid");
  const auto tid = find_number<std::int32_t>(text, "Pid");
  const auto tracer = find_number<std::int32_t>(text, "TracerPid");
  const auto capabilities = find_number<std::uint64_t>(text, "CapEff", 16);
  const auto effective_uid = find_effective_id(text, "Uid");
  if (!name || !state || state->empty() || !tgid || !tid || !tracer || !capabilities ||
      !effective_uid)
    return std::unexpected(kBadSyntax);

  ProcessStatus status;
  status.name = unescape(*name, "\\n", '\n');
  status.state = state->front();
  status.tgid = ProcessId{*tgid};
  status.tid = ThreadId{*tid};
  status.tracer = ProcessId{*tracer};
  status.effective_uid = *effective_uid;
  status.effective_gid = find_effective_id(text, "Gid");
  status.effective_capabilities = *capabilities;
  status.permitted_capabilities = find_number<std::uint64_t>(text, "CapPrm", 16);
  status.bounding_capabilities = find_number<std::uint64_t>(text, "CapBnd", 16);
  status.no_new_privileges = find_number<int>(text, "NoNewPrivs").value_or(0) != 0;
  // Absent from kernels built without CONFIG_SECCOMP.
  if (find_field(text, "Seccomp")) {
    const auto mode = find_number<int>(text, "Seccomp");
    if (!mode) return std::unexpected(kBadSyntax);
    status.seccomp_mode = *mode;
  }
  return status;
}

std::optional<std::uint64_t> find_auxv(std::string_view bytes, std::uint64_t type) {
  struct Entry {
    std::uintptr_t type;
    std::uintptr_t value;
  };
  constexpr std::uintptr_t kEnd = 0;  // AT_NULL
  for (; bytes.size() >= sizeof(Entry); bytes.remove_prefix(sizeof(Entry))) {
    Entry entry{};
    std::memcpy(&entry, bytes.data(), sizeof entry);
    if (entry.type == kEnd) break;
    if (entry.type == type) return entry.value;
  }
  return std::nullopt;
}

std::expected<std::string, Error> read_file(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return std::unexpected(error_of_open(errno));
  std::string content;
  std::array<char, 16'384> buffer;
  while (true) {
    const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
    if (count == 0) return content;
    if (count > 0) {
      content.append(buffer.data(), static_cast<std::size_t>(count));
    } else if (errno != EINTR) {
      return std::unexpected(error_of_open(errno));
    }
  }
}

Result<std::vector<Mapping>> read_maps(ProcessId pid) {
  const std::string path = proc_path(pid, "maps");
  const auto text = read_file(path);
  if (!text) return explain(text.error(), pid, path);
  auto mappings = parse_maps(*text);
  if (!mappings) return explain(mappings.error(), pid, path);
  return *std::move(mappings);
}

bool is_private_memory(ProcessId pid, RemoteAddress start, ByteCount length) {
  const auto mappings = read_maps(pid);
  if (!mappings) return false;
  RemoteAddress next = start;
  const RemoteAddress end = start + length;
  // By ascending address.
  for (const Mapping& mapping : *mappings) {
    if (!mapping.contains(next)) continue;
    if (mapping.shared) return false;
    next = mapping.end;
    if (next >= end) return true;
  }
  return false;
}

Result<ProcessStatus> read_status(ProcessId pid) {
  return read_status_at(proc_path(pid, "status"), pid);
}

Result<ProcessStatus> read_status(ProcessId pid, ThreadId tid) {
  return read_status_at(task_path(pid, tid, "status"), pid);
}

Result<std::vector<ThreadId>> list_threads(ProcessId pid) {
  const std::string path = proc_path(pid, "task");
  const auto numbers = list_numbers(path);
  if (!numbers) return explain(numbers.error(), pid, path);
  // The kernel lists an empty folder when the process ends between opening and reading it.
  if (numbers->empty()) return explain(Error{ErrorCode::no_such_process}, pid, path);
  std::vector<ThreadId> threads;
  threads.reserve(numbers->size());
  for (const std::int32_t number : *numbers) threads.push_back(ThreadId{number});
  return threads;
}

std::vector<ProcessId> list_processes() {
  std::vector<ProcessId> processes;
  if (const auto numbers = list_numbers("/proc")) {
    processes.reserve(numbers->size());
    for (const std::int32_t number : *numbers) processes.push_back(ProcessId{number});
  }
  return processes;
}

Result<ProcessId> process_of(ThreadId tid) {
  const auto status = read_status(ProcessId{tid.value});
  if (!status) return std::unexpected(status.error());
  return status->tgid;
}

std::string thread_name(ProcessId pid, ThreadId tid) {
  std::string name = read_file(task_path(pid, tid, "comm")).value_or("");
  if (name.ends_with('\n')) name.pop_back();
  return name;
}

std::string executable_path(ProcessId pid) {
  const std::string link = proc_path(pid, "exe");
  std::array<char, 4096> target;  // PATH_MAX
  const ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
  if (length < 0) return "";
  return {target.data(), static_cast<std::size_t>(length)};
}

Result<CpuSet> online_cpus() {
  return read_cpu_list("/sys/devices/system/cpu/online");
}

Result<CpuSet> possible_cpus() {
  return read_cpu_list("/sys/devices/system/cpu/possible");
}

std::optional<std::int64_t> read_number(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return std::nullopt;
  std::string_view rest = *text;
  return parse_whole<std::int64_t>(take_until(rest, '\n'));
}

}  // namespace trapline::linux_port
