// Why something could not be done, grouped by what the caller can do about it.
//
// Every fallible function of Trapline returns std::expected<T, Error> (or, in hosted code that
// speaks to people, a Failure that holds one). The set is closed: a new cause is a new ErrorCode
// with a group. Freestanding.
#pragma once

#include <cstdint>
#include <string_view>

namespace trapline {

// What the caller can do.
enum class ErrorGroup : std::uint8_t {
  retry,           // nothing is wrong; the same call may work later
  change_request,  // what was asked for cannot be had: ask for something else
  free_slot,       // debug registers are taken: release one
  ask_privilege,   // the system would do it for somebody with more rights
  unsupported,     // this machine or kernel cannot do it at all
  io,              // the world outside failed: a file, a pipe, a process that is gone
  bug,             // the caller broke a documented rule
};

enum class ErrorCode : std::uint8_t {
  interrupted,         // retry
  timed_out,           // retry: a CPU did not arrive, or new threads did not cease, in time
  hotplug_disabled,    // retry: hotplug_disable is in force
  injected_failure,    // retry: fail_at asked for it, once
  empty_range,         // change_request: a length of zero
  range_too_long,      // change_request: more than the free slots can cover
  range_wraps,         // change_request: address + length passes the end of the address space
  bad_length,          // change_request: a length the hardware has no encoding for
  misaligned,          // change_request: an address the hardware cannot hold for this length
  access_unsupported,  // change_request: this access kind does not exist here (read-only on x86)
  bad_syntax,          // change_request: a text that does not parse
  unknown_name,        // change_request: no such variable, function, member, file
  ambiguous_name,      // change_request: several things have this name
  bad_type,            // change_request: the type does not allow this operation
  unreadable_memory,   // change_request: an address that cannot be read was needed
  no_such_process,     // change_request
  bad_number,          // change_request: a hotplug state outside its range, or without a name
  number_taken,        // change_request: another hotplug state has this number
  range_full,          // change_request: no dynamic hotplug state of this section is left
  cannot_fail,         // change_request: fail_at for a hotplug state that has no way to fail
  last_cpu,            // change_request: the last online CPU cannot be taken down
  cpu_not_present,     // change_request
  not_steppable,       // change_request: a breakpoint on an instruction that nothing steps over
  in_fault_path,       // change_request: what fault handlers use themselves; a hit there never ends
  no_free_slot,        // free_slot
  permission_denied,   // ask_privilege
  not_supported,       // unsupported
  no_hardware,         // unsupported: the debug registers accept a value and never fire
  target_gone,         // io: the watched process or thread ended
  output_failed,       // io: the output cannot be written
  os_failure,          // io: a system call failed in a way that none of the above names
  limit_reached,       // io: descriptors, locked memory or another resource limit
  teardown_failed,     // io: what was removed could not be torn down on every CPU
  not_reserved,        // bug: release of something that is not held
  duplicate,           // bug: the same thing added twice
  wrong_state,         // bug: a call out of order
  foreign_state,       // bug: a hotplug state of another machine, or one that is gone
  instances_left,      // bug: a hotplug state is removed before its instances
  not_multi_instance,  // bug: an instance for a hotplug state that has none, or the reverse
  in_callback,         // bug: a hotplug callback asks for a hotplug operation
  lock_held,           // bug: a call that takes the hotplug lock, from within its read lock
  lock_not_held,       // bug: a _cpuslocked call without the hotplug read lock
};

[[nodiscard]] constexpr ErrorGroup group_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::interrupted:
    case ErrorCode::timed_out:
    case ErrorCode::hotplug_disabled:
    case ErrorCode::injected_failure:
      return ErrorGroup::retry;
    case ErrorCode::empty_range:
    case ErrorCode::range_too_long:
    case ErrorCode::range_wraps:
    case ErrorCode::bad_length:
    case ErrorCode::misaligned:
    case ErrorCode::access_unsupported:
    case ErrorCode::bad_syntax:
    case ErrorCode::unknown_name:
    case ErrorCode::ambiguous_name:
    case ErrorCode::bad_type:
    case ErrorCode::unreadable_memory:
    case ErrorCode::no_such_process:
    case ErrorCode::bad_number:
    case ErrorCode::number_taken:
    case ErrorCode::range_full:
    case ErrorCode::cannot_fail:
    case ErrorCode::last_cpu:
    case ErrorCode::cpu_not_present:
    case ErrorCode::not_steppable:
    case ErrorCode::in_fault_path:
      return ErrorGroup::change_request;
    case ErrorCode::no_free_slot:
      return ErrorGroup::free_slot;
    case ErrorCode::permission_denied:
      return ErrorGroup::ask_privilege;
    case ErrorCode::not_supported:
    case ErrorCode::no_hardware:
      return ErrorGroup::unsupported;
    case ErrorCode::target_gone:
    case ErrorCode::output_failed:
    case ErrorCode::os_failure:
    case ErrorCode::limit_reached:
    case ErrorCode::teardown_failed:
      return ErrorGroup::io;
    case ErrorCode::not_reserved:
    case ErrorCode::duplicate:
    case ErrorCode::wrong_state:
    case ErrorCode::foreign_state:
    case ErrorCode::instances_left:
    case ErrorCode::not_multi_instance:
    case ErrorCode::in_callback:
    case ErrorCode::lock_held:
    case ErrorCode::lock_not_held:
      return ErrorGroup::bug;
  }
  return ErrorGroup::bug;
}

// The code's name as written above: for logs and tests, not for people.
[[nodiscard]] std::string_view name_of(ErrorCode code);

struct Error {
  ErrorCode code{};
  // The system's errno where a system call was the cause, else 0. A detail, never the whole
  // message.
  int os_errno = 0;

  friend constexpr bool operator==(const Error&, const Error&) = default;
};

}  // namespace trapline
