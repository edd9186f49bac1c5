#include "ports/linux/launch.h"

#include <elf.h>
#include <endian.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <tuple>
#include <utility>

#include "ports/linux/file_descriptor.h"
#include "ports/linux/proc_fs.h"
#include "ports/linux/ptrace_arch.h"

namespace trapline::linux_port {
namespace {

struct Pipe {
  FileDescriptor read_end;
  FileDescriptor write_end;
};

std::optional<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
  return Pipe{FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

Failure descriptor_failure(const std::string& command) {
  const int error = errno;
  return {Error{error == EMFILE || error == ENFILE || error == EAGAIN ? ErrorCode::limit_reached
                                                                      : ErrorCode::os_failure,
                error},
          "cannot start " + command + ": " +
              (error == EAGAIN ? "no more processes are allowed; see ulimit -u"
                               : "no descriptors or memory left; see ulimit -n")};
}

void restore_signals(const InheritedSignals& signals) {
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action{};
    action.sa_handler = ::sigismember(&signals.ignored, number) == 1 ? SIG_IGN : SIG_DFL;
    // Fails for SIGKILL, SIGSTOP and the numbers the C library keeps: they cannot be changed.
    ::sigaction(number, &action, nullptr);
  }
  ::pthread_sigmask(SIG_SETMASK, &signals.mask, nullptr);
}

// In the child, between fork and exec: only what signal-safety(7) allows.
[[noreturn]] void run_child(char* const* arguments, const InheritedSignals& signals, Pipe& go,
                            Pipe& report) {
  constexpr int kExecFailed = 127;
  go.write_end.reset();
  char ready = 0;
  // End of file: the parent could not trace this process, or is gone.
  if (::read(go.read_end.get(), &ready, 1) != 1) ::_exit(kExecFailed);
  restore_signals(signals);
  ::execvp(arguments[0], arguments);
  const int error = errno;
  [[maybe_unused]] const ssize_t written = ::write(report.write_end.get(), &error, sizeof error);
  ::_exit(kExecFailed);
}

Failure explain_exec_failure(const std::string& command, int error) {
  const auto say = [&](ErrorCode code, const std::string& why) {
    return Failure{Error{code, error}, "cannot run " + command + ": " + why};
  };
  const bool is_path = command.find('/') != std::string::npos;
  switch (error) {
    case ENOENT:
      if (is_path && ::access(command.c_str(), F_OK) == 0)
        return say(ErrorCode::unknown_name,
                   "the interpreter it names (its #! line, or its dynamic loader) does not exist");
      return say(ErrorCode::unknown_name,
                 is_path ? "no such file" : "no such command in PATH; give its path");
    case ENOTDIR:
      return say(ErrorCode::unknown_name, "no such file");
    case EACCES:
    case EPERM:
      return say(ErrorCode::unknown_name, "it is not executable for this user; see: ls -l");
    case ENOEXEC:
    case EISDIR:
    case ELIBBAD:
      return say(ErrorCode::unknown_name, "it is not a program that this machine can run");
    case E2BIG:
      return say(ErrorCode::limit_reached, "its arguments and environment are too long");
    default:
      return say(ErrorCode::os_failure, "the system refuses it (error " + std::to_string(error) +
                                            "); try to run it without trapline");
  }
}

Failure explain_end(const std::string& command, int status) {
  const std::string how = WIFSIGNALED(status)
                              ? "was killed by signal " + std::to_string(WTERMSIG(status))
                              : "ended with status " + std::to_string(WEXITSTATUS(status));
  return {Error{ErrorCode::target_gone},
          command + " " + how +
              " before it reached its entry point; try to run it without trapline (a shared "
              "library may be missing)"};
}

// The capabilities that the program at `path` is given (capabilities(7), File capabilities).
std::uint64_t file_capabilities(const std::string& path) {
  vfs_ns_cap_data data{};
  const ssize_t size = ::getxattr(path.c_str(), "security.capability", &data, sizeof data);
  if (size < static_cast<ssize_t>(XATTR_CAPS_SZ_1)) return 0;
  std::uint64_t permitted = le32toh(data.data[0].permitted);
  if (size >= static_cast<ssize_t>(XATTR_CAPS_SZ_2))
    permitted |= std::uint64_t{le32toh(data.data[1].permitted)} << 32;
  return permitted;
}

// Which privileges of its file a process that was just executed did not get; nullptr if it has all.
// Compared is what it has, not who traces it: then a root that nothing is kept from is no special
// case.
const char* lost_privilege(ProcessId pid) {
  struct stat file{};
  const std::string program = "/proc/" + std::to_string(pid.value) + "/exe";
  const auto status = read_status(pid);
  if (!status || ::stat(program.c_str(), &file) != 0) return nullptr;
  if ((file.st_mode & S_ISUID) != 0 && status->effective_uid != file.st_uid)
    return "set-uid program";
  // Here execve gives nothing to anybody, traced or not.
  struct statvfs mount{};
  const bool is_nosuid = ::statvfs(program.c_str(), &mount) == 0 && (mount.f_flag & ST_NOSUID) != 0;
  if (is_nosuid || status->no_new_privileges) return nullptr;
  // Without the group's x, the bit once meant mandatory locking; execve(2) does not look at it.
  constexpr mode_t kSetGroup = S_ISGID | S_IXGRP;
  const gid_t gid = status->effective_gid.value_or(file.st_gid);
  if ((file.st_mode & kSetGroup) == kSetGroup && gid != file.st_gid) return "set-gid program";
  const auto permitted = status->permitted_capabilities;
  const auto bounding = status->bounding_capabilities;
  if (permitted && bounding && (file_capabilities(program) & *bounding & ~*permitted) != 0)
    return "program with file capabilities";
  return nullptr;
}

// Walks a freshly forked, seized child to its entry point.
class EntryRun {
 public:
  EntryRun(ProcessId pid, const std::string& command) : pid_(pid), command_(command) {}

  // Until the child waits at its entry point. `report` carries the errno of a failed exec.
  [[nodiscard]] Result<void> run(const FileDescriptor& report) {
    while (true) {
      int status = 0;
      const pid_t waited = ::waitpid(pid_.value, &status, __WALL);
      if (waited < 0 && errno == EINTR) continue;
      if (waited != pid_.value || WIFEXITED(status) || WIFSIGNALED(status)) {
        ended_ = true;
        return std::unexpected(explain_end_or_exec(report, status));
      }
      const auto arrived = handle_stop(status);
      if (!arrived) return std::unexpected(arrived.error());
      if (*arrived) return {};
    }
  }

  // Whether the child has been reaped already.
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  [[nodiscard]] Failure explain_end_or_exec(const FileDescriptor& report, int status) const {
    int error = 0;
    if (!executed_ && ::read(report.get(), &error, sizeof error) == sizeof error)
      return explain_exec_failure(command_, error);
    return explain_end(command_, status);
  }

  // True when the child is at its entry point.
  [[nodiscard]] Result<bool> handle_stop(int status) {
    const int signal = WSTOPSIG(status);
    const int event = status >> 16;
    if (event == PTRACE_EVENT_EXEC) {
      executed_ = true;
      if (const auto planted = plant_breakpoint(); !planted)
        return std::unexpected(planted.error());
      resume(PTRACE_CONT, 0);
    } else if (event == PTRACE_EVENT_STOP) {
      resume(signal == SIGTRAP ? PTRACE_CONT : PTRACE_LISTEN, 0);
    } else if (signal == SIGTRAP && executed_ && rewind_breakpoint(tid(), entry_)) {
      std::ignore = poke(original_);
      return true;
    } else {
      resume(PTRACE_CONT, signal);
    }
    return false;
  }

  [[nodiscard]] Result<void> plant_breakpoint() {
    if (const auto allowed = check_privileges(); !allowed) return allowed;
    const auto auxv = read_file("/proc/" + std::to_string(pid_.value) + "/auxv");
    const auto entry = auxv ? find_auxv(*auxv, AT_ENTRY) : std::nullopt;
    if (auxv && is_other_word_size()) {
      return fail(ErrorCode::not_supported,
                  command_ +
                      " is a 32-bit program, which trapline cannot start; start it "
                      "yourself and watch it with -p PID");
    }
    if (!entry) return refuse_to_look();
    entry_ = RemoteAddress(*entry);
    errno = 0;
    original_ =
        static_cast<std::uint64_t>(::ptrace(PTRACE_PEEKTEXT, pid_.value, entry_word(), nullptr));
    if (errno != 0 || !poke(with_breakpoint(original_, entry_))) return refuse_to_look();
    return {};
  }

  // ptrace takes words of the machine: a longer one would be two arguments.
  [[nodiscard]] std::uintptr_t entry_word() const {
    return static_cast<std::uintptr_t>(code_address(entry_).value());
  }
  [[nodiscard]] bool poke(std::uint64_t word) const {
    return ::ptrace(PTRACE_POKETEXT, pid_.value, entry_word(), static_cast<std::uintptr_t>(word)) ==
           0;
  }

  // A traced exec does not raise privileges unless the tracer has CAP_SYS_PTRACE (execve(2)): the
  // program would run, but not as it does untraced.
  [[nodiscard]] Result<void> check_privileges() const {
    const char* const lost = lost_privilege(pid_);
    if (lost == nullptr) return {};
    return fail(ErrorCode::permission_denied,
                command_ + " is a " + lost +
                    ", which would run without its privileges when started under ptrace; run "
                    "trapline as root");
  }

  [[nodiscard]] bool is_other_word_size() const {
    const FileDescriptor file(
        ::open(("/proc/" + std::to_string(pid_.value) + "/exe").c_str(), O_RDONLY | O_CLOEXEC));
    std::array<unsigned char, EI_NIDENT> identity{};
    constexpr unsigned char kOwnClass = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
    return file.is_open() && ::read(file.get(), identity.data(), identity.size()) == EI_NIDENT &&
           identity[EI_CLASS] != kOwnClass;
  }

  [[nodiscard]] std::unexpected<Failure> refuse_to_look() const {
    return fail(ErrorCode::permission_denied,
                command_ +
                    " may be run but not looked into by this user (it is not readable, or "
                    "a security policy forbids ptrace); run trapline as root",
                EPERM);
  }

  void resume(__ptrace_request how, int signal) const {
    // Fails only when the child was killed meanwhile: the next wait says so.
    ::ptrace(how, pid_.value, nullptr, static_cast<long>(signal));
  }

  [[nodiscard]] ThreadId tid() const { return ThreadId{pid_.value}; }

  ProcessId pid_;
  const std::string& command_;
  RemoteAddress entry_;
  std::uint64_t original_ = 0;
  bool executed_ = false;
  bool ended_ = false;
};

void kill_and_reap(ProcessId pid) {
  ::kill(pid.value, SIGKILL);
  int status = 0;
  // A traced child may report an exit stop on its way out; it ends all the same.
  while (true) {
    const pid_t waited = ::waitpid(pid.value, &status, __WALL);
    if (waited < 0 && errno != EINTR) return;
    if (waited == pid.value && !WIFSTOPPED(status)) return;
    if (waited == pid.value) ::ptrace(PTRACE_CONT, pid.value, nullptr, nullptr);
  }
}

}  // namespace

InheritedSignals InheritedSignals::capture() {
  InheritedSignals signals;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &signals.mask);
  ::sigemptyset(&signals.ignored);
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action{};
    if (::sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN)
      ::sigaddset(&signals.ignored, number);
  }
  return signals;
}

Result<LaunchedCommand> LaunchedCommand::start(const std::vector<std::string>& arguments,
                                               const InheritedSignals& signals) {
  if (arguments.empty() || arguments.front().empty()) {
    return fail(ErrorCode::unknown_name,
                "there is no command to start; give one after --, as in: -- ./app ARGS");
  }
  const std::string& command = arguments.front();
  std::vector<char*> pointers;
  pointers.reserve(arguments.size() + 1);
  for (const std::string& argument : arguments)
    pointers.push_back(const_cast<char*>(argument.c_str()));  // execvp does not write to them
  pointers.push_back(nullptr);

  auto go = make_pipe();
  auto report = make_pipe();
  if (!go || !report) return std::unexpected(descriptor_failure(command));
  const pid_t child = ::fork();
  if (child < 0) return std::unexpected(descriptor_failure(command));
  if (child == 0) run_child(pointers.data(), signals, *go, *report);

  LaunchedCommand launched{ProcessId{child}};
  report->write_end.reset();
  go->read_end.reset();
  if (::ptrace(PTRACE_SEIZE, child, nullptr, PTRACE_O_EXITKILL | PTRACE_O_TRACEEXEC) != 0) {
    return fail(ErrorCode::permission_denied,
                "this process may not trace its own child (kernel.yama.ptrace_scope is 3, or a "
                "container's seccomp filter forbids ptrace); start the command yourself and watch "
                "it with -p PID --collector perf",
                errno);
  }
  const char ready = 1;
  if (::write(go->write_end.get(), &ready, 1) != 1)
    return std::unexpected(descriptor_failure(command));
  EntryRun run(launched.pid_, command);
  const auto arrived = run.run(report->read_end);
  if (run.ended()) launched.pid_ = ProcessId{0};
  if (!arrived) return std::unexpected(arrived.error());
  return launched;
}

LaunchedCommand::LaunchedCommand(LaunchedCommand&& other) noexcept
    : pid_(std::exchange(other.pid_, ProcessId{0})) {}

LaunchedCommand& LaunchedCommand::operator=(LaunchedCommand&& other) noexcept {
  if (this != &other) {
    kill_child();
    pid_ = std::exchange(other.pid_, ProcessId{0});
  }
  return *this;
}

LaunchedCommand::~LaunchedCommand() {
  kill_child();
}

void LaunchedCommand::kill_child() {
  const ProcessId pid = std::exchange(pid_, ProcessId{0});
  if (pid.value > 0) kill_and_reap(pid);
}

Result<void> LaunchedCommand::release() {
  if (::ptrace(PTRACE_DETACH, pid_.value, nullptr, nullptr) != 0) {
    return fail(ErrorCode::target_gone,
                "process " + std::to_string(pid_.value) + " was killed before it could run", errno);
  }
  pid_ = ProcessId{0};
  return {};
}

}  // namespace trapline::linux_port
