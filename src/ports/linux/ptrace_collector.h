// The collector that needs no perf privilege: debug registers through ptrace, every hit a stop.
//
// Who may use it: whoever may trace the target (same user, dumpable, kernel.yama.ptrace_scope 0; a
// child; or CAP_SYS_PTRACE). One per thread. SIGCHLD is blocked in that thread from install() to
// stop(), and given its default action if it was ignored, because an ignored one would not wake
// descriptors(). Somebody else's signalfd may take the SIGCHLD: then call drain() after reading it.
// Children of this process that are not part of the target are never waited for.
//
// What the target notices, as of any debugger: system calls that signal(7) lists as interrupted by
// a stop (epoll_wait, sleep, semop ...) return EINTR once at install and once at stop; if it blocks
// or ignores SIGTRAP, the kernel unblocks it at the first hit and sets its action back to the
// default (kernel/signal.c, force_sig_info_to_task). Its other signals and stops pass unchanged.
//
// What hits are: accesses by user instructions. Those the kernel makes for the target (read(2) into
// the variable) do not stop it: sees_kernel_accesses is false. Hit::time is when the stop was
// handled; old_value is unknown; new_value is exact only if the process has one thread and the
// memory is not shared. StackMode::frame_pointer needs frame pointers.
//
// Exec ends the watch of a process: TargetEvent executed, and it is let go.
//
// If the tracing process is killed (SIGKILL), the kernel leaves the debug registers set, and the
// next hit's SIGTRAP would kill the target. A guard process, started at install, waits for that and
// clears them (ptrace_guard.h): it wins unless a thread hits in the moment between. Handle every
// signal that can be handled, and call stop().
//
// A thread that sleeps in the kernel where no stop reaches it (the parent of a vfork, a dead disk)
// delays install() and stop() by one second at most. At install it gets its registers before it
// runs on, and the report says so; at stop it is let go when the collector's process ends.
//
// After stop() the kernel keeps the breakpoints of each thread that was watched, disabled, until
// that thread ends or execs (measured on 6.18; arch/x86/kernel/ptrace.c has no way to give one
// back). They never trap, and ptrace uses them again, but perf events on that thread find these
// slots taken.
#pragma once

#include <memory>

#include "ports/linux/collector.h"

namespace trapline::linux_port {

[[nodiscard]] std::unique_ptr<Collector> make_ptrace_collector();

}  // namespace trapline::linux_port
