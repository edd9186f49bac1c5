#include "ports/armv7_virt/fault_report.h"

#include <array>
#include <optional>

#include "isa/armv7/handler_load.h"
#include "ports/armv7_virt/cpu.h"
#include "ports/armv7_virt/mmu.h"
#include "ports/armv7_virt/print.h"

namespace trapline::armv7_virt {
namespace {

constexpr std::uint32_t kWord = sizeof(std::uint32_t);
constexpr std::size_t kFramePointer = 11;

std::optional<std::uint32_t> load_word(std::uint32_t address) {
  std::uint32_t word = 0;
  if (!isa::armv7::load_in_handler(address, word)) return std::nullopt;
  return word;
}

std::string_view mode_name(std::uint32_t mode) {
  switch (mode) {
    case isa::armv7::kModeUser:
      return "User";
    case isa::armv7::kModeSupervisor:
      return "Supervisor";
    case 0x12:
      return "IRQ";
    case 0x17:
      return "Abort";
    case 0x1b:
      return "Undefined";
    case 0x1f:
      return "System";
    default:
      return "unknown";
  }
}

std::string_view thread_name() {
  const Cpu& cpu = this_cpu();
  return cpu.current == &cpu.hotplug ? "hotplug thread" : "thread";
}

void print_registers(const ExceptionFrame& frame) {
  for (std::size_t first = 0; first < 12; first += 4) {
    print_line("  r", first, first < 10 ? "  " : " ", Hex{frame.r[first]}, " ",
               Hex{frame.r[first + 1]}, " ", Hex{frame.r[first + 2]}, " ", Hex{frame.r[first + 3]});
  }
  print_line("  r12 ", Hex{frame.r[12]}, "  sp ", Hex{frame.sp}, "  lr ", Hex{frame.lr});
  print_line("  pc  ", Hex{frame.pc}, "  cpsr ", Hex{frame.cpsr}, " (", mode_name(frame.mode()),
             " mode, ", frame.is_thumb() ? "Thumb" : "ARM", ")");
}

void print_stack(std::uint32_t sp) {
  constexpr unsigned kWords = 8;
  LineBuffer line;
  line.add("  stack");
  for (unsigned index = 0; index < kWords; ++index) {
    const auto word = load_word(sp + index * kWord);
    if (!word) {
      line.add(" (ends here)");
      break;
    }
    line.add(' ');
    line.add(Hex{*word});
  }
  print_line(line.text());
}

// A function's frame, in GCC's ARM code with frame pointers: fp points to the saved lr, below it is
// the caller's fp. A leaf saves only the latter, at fp.
struct StackFrame {
  std::optional<std::uint32_t> return_address;
  std::uint32_t caller_frame;
};

std::optional<StackFrame> read_frame(std::uint32_t frame_pointer) {
  const auto upper = load_word(frame_pointer);
  const auto lower = load_word(frame_pointer - kWord);
  if (!upper || !lower) return std::nullopt;
  if (is_code(*upper)) return StackFrame{*upper, *lower};
  return StackFrame{std::nullopt, *upper};
}

}  // namespace

void print_callers(std::uint32_t frame_pointer) {
  constexpr unsigned kLongest = 16;
  for (unsigned depth = 0; depth < kLongest && frame_pointer % kWord == 0; ++depth) {
    const auto frame = read_frame(frame_pointer);
    if (!frame) return;
    // The call itself is before where it returns to.
    if (frame->return_address) print_line("  called from ", Hex{*frame->return_address - kWord});
    // Stacks grow downwards: what does not go up goes round in circles.
    if (frame->caller_frame <= frame_pointer) return;
    frame_pointer = frame->caller_frame;
  }
}

void print_place(const ExceptionFrame& frame) {
  print_line("CPU ", this_cpu().id, " stops, in its ", thread_name(), " at ", Hex{frame.pc});
  print_callers(frame.r[kFramePointer]);
}

void print_fault(const ExceptionFrame& frame, std::string_view what, std::string_view why) {
  print_line("unhandled fault on CPU ", this_cpu().id, ", in its ", thread_name(), ": ", what, ", ",
             why);
  print_registers(frame);
  print_stack(frame.sp);
  print_line("  at ", Hex{frame.pc});
  if (is_code(frame.lr)) print_line("  lr points behind ", Hex{frame.lr - kWord});
  print_callers(frame.r[kFramePointer]);
}

void print_nested_fault(const ExceptionFrame& frame, std::string_view what) {
  print_line("fault inside a fault handler on CPU ", this_cpu().id, ": ", what, " at ",
             Hex{frame.pc});
  print_registers(frame);
}

}  // namespace trapline::armv7_virt
