#include "trapline/base/error.h"

namespace trapline {

// With their lengths: a plain literal would leave strlen() to a table of pointers.
using namespace std::string_view_literals;

std::string_view name_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::interrupted:
      return "interrupted"sv;
    case ErrorCode::timed_out:
      return "timed_out"sv;
    case ErrorCode::hotplug_disabled:
      return "hotplug_disabled"sv;
    case ErrorCode::injected_failure:
      return "injected_failure"sv;
    case ErrorCode::empty_range:
      return "empty_range"sv;
    case ErrorCode::range_too_long:
      return "range_too_long"sv;
    case ErrorCode::range_wraps:
      return "range_wraps"sv;
    case ErrorCode::bad_length:
      return "bad_length"sv;
    case ErrorCode::misaligned:
      return "misaligned"sv;
    case ErrorCode::access_unsupported:
      return "access_unsupported"sv;
    case ErrorCode::bad_syntax:
      return "bad_syntax"sv;
    case ErrorCode::unknown_name:
      return "unknown_name"sv;
    case ErrorCode::ambiguous_name:
      return "ambiguous_name"sv;
    case ErrorCode::bad_type:
      return "bad_type"sv;
    case ErrorCode::unreadable_memory:
      return "unreadable_memory"sv;
    case ErrorCode::no_such_process:
      return "no_such_process"sv;
    case ErrorCode::bad_number:
      return "bad_number"sv;
    case ErrorCode::number_taken:
      return "number_taken"sv;
    case ErrorCode::range_full:
      return "range_full"sv;
    case ErrorCode::cannot_fail:
      return "cannot_fail"sv;
    case ErrorCode::last_cpu:
      return "last_cpu"sv;
    case ErrorCode::cpu_not_present:
      return "cpu_not_present"sv;
    case ErrorCode::not_steppable:
      return "not_steppable"sv;
    case ErrorCode::in_fault_path:
      return "in_fault_path"sv;
    case ErrorCode::no_free_slot:
      return "no_free_slot"sv;
    case ErrorCode::permission_denied:
      return "permission_denied"sv;
    case ErrorCode::not_supported:
      return "not_supported"sv;
    case ErrorCode::no_hardware:
      return "no_hardware"sv;
    case ErrorCode::target_gone:
      return "target_gone"sv;
    case ErrorCode::output_failed:
      return "output_failed"sv;
    case ErrorCode::os_failure:
      return "os_failure"sv;
    case ErrorCode::limit_reached:
      return "limit_reached"sv;
    case ErrorCode::teardown_failed:
      return "teardown_failed"sv;
    case ErrorCode::not_reserved:
      return "not_reserved"sv;
    case ErrorCode::duplicate:
      return "duplicate"sv;
    case ErrorCode::wrong_state:
      return "wrong_state"sv;
    case ErrorCode::foreign_state:
      return "foreign_state"sv;
    case ErrorCode::instances_left:
      return "instances_left"sv;
    case ErrorCode::not_multi_instance:
      return "not_multi_instance"sv;
    case ErrorCode::in_callback:
      return "in_callback"sv;
    case ErrorCode::lock_held:
      return "lock_held"sv;
    case ErrorCode::lock_not_held:
      return "lock_not_held"sv;
  }
  return "?"sv;
}

}  // namespace trapline
