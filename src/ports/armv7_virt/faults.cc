#include "ports/armv7_virt/faults.h"

#include <atomic>
#include <span>

#include "isa/armv7/system_registers.h"
#include "ports/armv7_virt/cpu.h"
#include "ports/armv7_virt/debug_events.h"
#include "ports/armv7_virt/debug_unit.h"
#include "ports/armv7_virt/fault_report.h"
#include "ports/armv7_virt/mmu.h"
#include "ports/armv7_virt/print.h"
#include "ports/armv7_virt/stop.h"
#include "ports/armv7_virt/undef_hook.h"
#include "ports/armv7_virt/vectors.h"
#include "regs/armv7/exception_state.h"

extern "C" {
// link.ld.
extern trapline::fault::ExceptionEntry __start_trapline_ex_table[];
extern trapline::fault::ExceptionEntry __stop_trapline_ex_table[];

// vectors.S calls these.
void trapline_on_undefined(trapline::armv7_virt::ExceptionFrame* frame);
void trapline_on_supervisor_call(trapline::armv7_virt::ExceptionFrame* frame);
void trapline_on_prefetch_abort(trapline::armv7_virt::ExceptionFrame* frame);
void trapline_on_data_abort(trapline::armv7_virt::ExceptionFrame* frame);
void trapline_on_abort_stack_full(trapline::armv7_virt::ExceptionFrame* frame);
}

namespace trapline::armv7_virt {
namespace {

using regs::armv7::AbortCause;
using regs::armv7::ExceptionKind;

fault::ExceptionTable table;
std::atomic<LastResort> last_resort{nullptr};

// Counts the fault handlers that the CPU is in.
class InFaultHandler {
 public:
  // One fault may come from a guarded load of the handler; more is a circle, and ends here. Hits go
  // off first: one may be what goes round.
  InFaultHandler() {
    if (++this_cpu().faults <= kDeepest) return;
    DebugUnit::disable_hits();
    stop_for_bug("fault handlers fault in a circle");
  }
  InFaultHandler(const InFaultHandler&) = delete;
  InFaultHandler& operator=(const InFaultHandler&) = delete;
  ~InFaultHandler() { --this_cpu().faults; }

  [[nodiscard]] static bool is_nested() { return this_cpu().faults > 1; }

 private:
  static constexpr std::uint32_t kDeepest = 3;
};

// A second time, in a handler or in the report itself, there is little that can be said.
void give_up(ExceptionFrame& frame, std::string_view what, std::string_view why) {
  if (InFaultHandler::is_nested()) {
    print_nested_fault(frame, what);
    stop_machine(kStoppedByFault);
  }
  print_fault(frame, what, why);
  const LastResort resort = last_resort.load(std::memory_order_acquire);
  if (resort != nullptr && resort(frame)) return;
  stop_machine(kStoppedByFault);
}

fault::FaultKind kind_of(AbortCause cause) {
  switch (cause) {
    case AbortCause::translation:
      return fault::FaultKind::unmapped;
    case AbortCause::permission:
      return fault::FaultKind::no_permission;
    case AbortCause::alignment:
      return fault::FaultKind::misaligned;
    case AbortCause::external:
      return fault::FaultKind::no_backing;
    case AbortCause::parity:
      return fault::FaultKind::broken_memory;
    case AbortCause::debug:
      return fault::FaultKind::breakpoint;
    case AbortCause::asynchronous:
    case AbortCause::other:
      break;
  }
  return fault::FaultKind::other;
}

std::string_view name_of(AbortCause cause) {
  switch (cause) {
    case AbortCause::translation:
      return "nothing is mapped there";
    case AbortCause::permission:
      return "the page does not permit it";
    case AbortCause::alignment:
      return "the address is misaligned";
    case AbortCause::external:
      return "nothing answers at the physical address";
    case AbortCause::parity:
      return "the memory is broken";
    case AbortCause::debug:
      return "a debug event that nobody asked for";
    case AbortCause::asynchronous:
      return "told too late to say which access it was";
    case AbortCause::other:
      break;
  }
  return "for an unknown reason";
}

void correct_address(ExceptionFrame& frame, ExceptionKind kind) {
  frame.pc = regs::armv7::faulting_instruction(kind, frame.pc, frame.cpsr);
}

}  // namespace

void prepare_exception_table() {
  const std::span entries(__start_trapline_ex_table, __stop_trapline_ex_table);
  fault::sort_entries(entries);
  table = fault::ExceptionTable(std::span<const fault::ExceptionEntry>(entries));
  if (!table.is_strictly_sorted())
    stop_for_bug("two exception-table entries are for the same instruction");
  const auto begin = reinterpret_cast<std::uintptr_t>(__start_trapline_ex_table);
  const auto end = reinterpret_cast<std::uintptr_t>(__stop_trapline_ex_table);
  for (std::uintptr_t page = begin; page < end; page += kPageSize)
    map_page(page, page, Permission::read_only);
}

const fault::ExceptionTable& exception_table() {
  return table;
}

void set_last_resort(LastResort resort) {
  last_resort.store(resort, std::memory_order_release);
}

namespace {

// Steps go through code in any mode but Abort mode, where hits are off. A fault there is the
// handler's own, in a guarded load, and not of the step that it deals with.
void abandon_step(ExceptionFrame& frame) {
  constexpr std::uint32_t kModeAbort = 0x17;
  if (frame.mode() != kModeAbort) debug_events::abandon_step(frame, Ending::faulted);
}

void on_undefined(ExceptionFrame& frame) {
  const InFaultHandler scope;
  correct_address(frame, ExceptionKind::undefined_instruction);
  abandon_step(frame);
  if (fault::fixup_exception(table, frame,
                             {.kind = fault::FaultKind::bad_instruction,
                              .attempted = TRAPLINE_GUARD_INSTRUCTION,
                              .address = frame.pc}))
    return;
  if (call_undef_hooks(frame)) return;
  give_up(frame, "undefined instruction", "and no hook took it");
}

void on_supervisor_call(ExceptionFrame& frame) {
  const InFaultHandler scope;
  // Its return address is off by as much as that of an undefined instruction.
  correct_address(frame, ExceptionKind::undefined_instruction);
  give_up(frame, "supervisor call", "which nobody serves here");
}

void on_prefetch_abort(ExceptionFrame& frame) {
  const InFaultHandler scope;
  const HitsOff hits_off;
  correct_address(frame, ExceptionKind::prefetch_abort);
  const AbortCause cause = regs::armv7::decode_fault_status(isa::armv7::read_ifsr()).cause;
  if (cause == AbortCause::debug && debug_events::on_instruction(frame)) return;
  abandon_step(frame);
  // A BKPT is an instruction that faults by itself; the rest could not be fetched.
  const std::uint32_t attempted =
      cause == AbortCause::debug ? TRAPLINE_GUARD_INSTRUCTION : TRAPLINE_GUARD_EXECUTE;
  if (fault::fixup_exception(table, frame,
                             {.kind = kind_of(cause), .attempted = attempted, .address = frame.pc}))
    return;
  give_up(frame, "prefetch abort", name_of(cause));
}

void on_data_abort(ExceptionFrame& frame) {
  const InFaultHandler scope;
  const HitsOff hits_off;
  correct_address(frame, ExceptionKind::data_abort);
  const auto status = regs::armv7::decode_fault_status(isa::armv7::read_dfsr());
  const std::uint32_t address = isa::armv7::read_dfar();
  if (status.cause == AbortCause::debug && debug_events::on_access(frame, address)) return;
  abandon_step(frame);
  const std::uint32_t attempted = status.is_write ? TRAPLINE_GUARD_WRITE : TRAPLINE_GUARD_READ;
  // An asynchronous abort comes at some later instruction: none is to be recovered.
  if (status.cause != AbortCause::asynchronous &&
      fault::fixup_exception(
          table, frame,
          {.kind = kind_of(status.cause), .attempted = attempted, .address = address}))
    return;
  LineBuffer what;
  what.add(status.is_write ? "data abort, store to " : "data abort, load from ");
  what.add(Hex{address});
  give_up(frame, what.text(), name_of(status.cause));
}

// Whatever it was: there is no stack to deal with it on.
void on_abort_stack_full(ExceptionFrame& frame) {
  const InFaultHandler scope;
  const HitsOff hits_off;
  correct_address(frame, ExceptionKind::data_abort);
  print_nested_fault(frame, "the stack of Abort mode is full");
  stop_machine(kStoppedByFault);
}

}  // namespace
}  // namespace trapline::armv7_virt

void trapline_on_undefined(trapline::armv7_virt::ExceptionFrame* frame) {
  trapline::armv7_virt::on_undefined(*frame);
}
void trapline_on_supervisor_call(trapline::armv7_virt::ExceptionFrame* frame) {
  trapline::armv7_virt::on_supervisor_call(*frame);
}
void trapline_on_prefetch_abort(trapline::armv7_virt::ExceptionFrame* frame) {
  trapline::armv7_virt::on_prefetch_abort(*frame);
}
void trapline_on_data_abort(trapline::armv7_virt::ExceptionFrame* frame) {
  trapline::armv7_virt::on_data_abort(*frame);
}
void trapline_on_abort_stack_full(trapline::armv7_virt::ExceptionFrame* frame) {
  trapline::armv7_virt::on_abort_stack_full(*frame);
}
