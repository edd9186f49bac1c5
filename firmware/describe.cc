#include "describe.h"

#include "ports/armv7_virt/print.h"
#include "ports/armv7_virt/psci.h"

namespace trapline::firmware {
namespace {

using armv7_virt::print_line;
using armv7_virt::psci::Result;

std::string_view name_of_answer(int answer) {
  switch (static_cast<Result>(answer)) {
    case Result::not_supported:
      return "NOT_SUPPORTED";
    case Result::invalid_parameters:
      return "INVALID_PARAMETERS";
    case Result::denied:
      return "DENIED";
    case Result::already_on:
      return "ALREADY_ON";
    case Result::on_pending:
      return "ON_PENDING";
    case Result::internal_failure:
      return "INTERNAL_FAILURE";
    case Result::success:
      break;
  }
  return "an unknown answer";
}

std::string_view reason(ErrorCode code) {
  switch (code) {
    case ErrorCode::cpu_not_present:
      return "there is no such CPU. 'cpus' lists them";
    case ErrorCode::last_cpu:
      return "it is the last one online. Turn on another one first";
    case ErrorCode::wrong_state:
      return "its own thread is at work; that of CPU 0 runs this console";
    case ErrorCode::timed_out:
      return "it did not arrive in time, or has not gone off yet. Try again: it may have by now";
    case ErrorCode::injected_failure:
      return "it was told to fail ('fail'), once. What it had begun is undone; try again";
    case ErrorCode::hotplug_disabled:
      return "hotplug is disabled";
    case ErrorCode::bad_number:
      return "there is no such state. 'states' lists them";
    case ErrorCode::cannot_fail:
      return "this state has nothing that may fail. 'states' lists them";
    case ErrorCode::empty_range:
      return "a length of zero watches nothing";
    case ErrorCode::range_wraps:
      return "the range passes the end of the address space";
    case ErrorCode::range_too_long:
      return "the registers do not reach that far: each covers up to eight bytes within an aligned "
             "doubleword";
    case ErrorCode::misaligned:
      return "an instruction's address is a multiple of 4 (ARM), or of 2 with bit 0 set (Thumb)";
    case ErrorCode::not_steppable:
      return "an exception return, or an mrs into sp or lr, cannot be stepped over. Choose an "
             "instruction before or behind it";
    case ErrorCode::in_fault_path:
      return "the fault handlers use this themselves, and would fault for ever. Watch what they do "
             "not touch";
    case ErrorCode::not_supported:
      return "the debug registers of a CPU cannot be reset. 'cpus' says which";
    case ErrorCode::permission_denied:
      return "the debug registers are locked, or debugging is not authenticated: that is up to the "
             "board";
    case ErrorCode::no_hardware:
      return "a debug register of this machine does not keep what is written to it";
    default:
      return name_of(code);
  }
}

}  // namespace

void print_cpu_failure(std::string_view doing, CpuId cpu, const Error& error) {
  if (error.code == ErrorCode::os_failure) {
    print_line("cannot ", doing, " CPU ", cpu, ": PSCI says ", name_of_answer(error.os_errno),
               ". Try again: firmware may have its reasons for a while");
    return;
  }
  print_line("cannot ", doing, " CPU ", cpu, ": ", reason(error.code));
}

void print_watch_failure(const Error& error, std::size_t free_registers) {
  if (error.code == ErrorCode::no_free_slot) {
    print_line("cannot watch: it needs more registers than the ", free_registers,
               " that are free. 'watches' lists who has them, 'unwatch N' frees some");
    return;
  }
  print_line("cannot watch: ", reason(error.code));
}

}  // namespace trapline::firmware
