#include "trapline/base/error.h"

namespace trapline {

std::string_view name_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::interrupted:
      return "interrupted";
    case ErrorCode::empty_range:
      return "empty_range";
    case ErrorCode::range_too_long:
      return "range_too_long";
    case ErrorCode::range_wraps:
      return "range_wraps";
    case ErrorCode::bad_length:
      return "bad_length";
    case ErrorCode::misaligned:
      return "misaligned";
    case ErrorCode::access_unsupported:
      return "access_unsupported";
    case ErrorCode::bad_syntax:
      return "bad_syntax";
    case ErrorCode::unknown_name:
      return "unknown_name";
    case ErrorCode::ambiguous_name:
      return "ambiguous_name";
    case ErrorCode::bad_type:
      return "bad_type";
    case ErrorCode::unreadable_memory:
      return "unreadable_memory";
    case ErrorCode::no_such_process:
      return "no_such_process";
    case ErrorCode::no_free_slot:
      return "no_free_slot";
    case ErrorCode::permission_denied:
      return "permission_denied";
    case ErrorCode::not_supported:
      return "not_supported";
    case ErrorCode::no_hardware:
      return "no_hardware";
    case ErrorCode::target_gone:
      return "target_gone";
    case ErrorCode::output_failed:
      return "output_failed";
    case ErrorCode::os_failure:
      return "os_failure";
    case ErrorCode::limit_reached:
      return "limit_reached";
    case ErrorCode::not_reserved:
      return "not_reserved";
    case ErrorCode::duplicate:
      return "duplicate";
    case ErrorCode::wrong_state:
      return "wrong_state";
  }
  return "?";
}

}  // namespace trapline
