// Armv7: a tracer has no single step (arch/arm defines no arch_has_single_step). Instead, a
// breakpoint register of the thread at the instruction that it executes next; other threads do not
// see it, and no code is changed.
//
// A trap clears the exclusive monitor, so an exclusive store that trapped fails, and its loop comes
// back to it for ever. So the loop is run as a whole without watchpoints: step by step back to its
// load, from there at once to behind its store. Source: Arm ARM Armv7-A/R (DDI 0406C), A3.4.5.
#include "ports/linux/ptrace_step.h"

#include <sys/ptrace.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <span>
#include <vector>

#include "instructions/armv7/next_address.h"
#include "ports/linux/armv7/debug_pairs.h"
#include "ports/linux/ptrace_arch.h"

namespace trapline::linux_port {
namespace {

namespace code = instructions::armv7;

// A loop of exclusive accesses is shorter.
constexpr unsigned kLongestLoop = 64;
constexpr std::uint32_t kLongestSequence = 64;  // bytes from the load to the store

// --- what the thread is at ---

std::optional<std::uint32_t> peek(ThreadId tid, std::uint32_t address) {
  errno = 0;
  const long word = ::ptrace(PTRACE_PEEKDATA, tid.value, address, nullptr);
  if (errno != 0) return std::nullopt;
  return static_cast<std::uint32_t>(word);
}

std::optional<std::uint32_t> read_memory(void* context, std::uint32_t address, unsigned length) {
  const ThreadId tid = *static_cast<const ThreadId*>(context);
  std::uint32_t value = 0;
  for (unsigned i = 0; i < length; ++i) {
    const std::uint32_t at = address + i;
    const auto word = peek(tid, at & ~3U);
    if (!word) return std::nullopt;
    value |= (*word >> (8 * (at & 3)) & 0xff) << (8 * i);
  }
  return value;
}

// As next_address takes it. nullopt: it cannot be read.
std::optional<std::uint32_t> instruction_at(ThreadId tid, std::uint32_t address, bool is_thumb) {
  if (!is_thumb) return read_memory(&tid, address, 4);
  constexpr std::uint32_t kFirstLong = 0b11101;  // DDI 0406C, A6.1
  const auto first = read_memory(&tid, address, 2);
  if (!first || *first >> 11 < kFirstLong) return first;
  const auto second = read_memory(&tid, address + 2, 2);
  if (!second) return std::nullopt;
  return *first << 16 | *second;
}

std::uint32_t length_of(std::uint32_t instruction, bool is_thumb) {
  return is_thumb && instruction <= 0xffff ? 2 : 4;
}

// The thread's registers, and the instruction that it is at.
struct Position {
  code::CoreRegisters registers;
  std::uint32_t instruction = 0;

  [[nodiscard]] bool is_thumb() const { return registers.is_thumb(); }
};

std::optional<Position> position_of(ThreadId tid) {
  const auto captured = read_user_registers(tid);
  if (!captured) return std::nullopt;
  const auto word = [&](std::size_t number) {
    return static_cast<std::uint32_t>(captured->get(number).value_or(0));
  };
  Position position;
  for (std::size_t number = 0; number < position.registers.r.size(); ++number)
    position.registers.r[number] = word(number);
  position.registers.pc = word(static_cast<std::size_t>(ArmRegister::pc));
  position.registers.cpsr = word(static_cast<std::size_t>(ArmRegister::cpsr));
  const auto instruction = instruction_at(tid, position.registers.pc, position.is_thumb());
  if (!instruction) return std::nullopt;
  position.instruction = *instruction;
  return position;
}

// --- breakpoints ---

std::expected<void, Error> run_to(ThreadId tid, std::span<const std::uint32_t> addresses,
                                  bool is_thumb) {
  if (auto cleared = clear_debug_registers(tid); !cleared) return cleared;
  std::size_t set = 0;
  for (const std::uint32_t address : addresses) {
    const auto stopping =
        put_pair(tid, {.code = true, .index = set}, address, breakpoint_control(is_thumb));
    // The first is where it stops for certain, the others are where it might leave a loop instead.
    if (!stopping && set == 0) return stopping;
    if (!stopping) break;
    ++set;
  }
  resume(tid, 0);
  return {};
}

// Over one instruction.
std::expected<void, Error> run_one(ThreadId tid, const Position& position) {
  ThreadId reading = tid;
  const auto next = code::next_address(position.instruction, position.registers,
                                       {.read = &read_memory, .context = &reading});
  // It is about to fault: the signal comes before it gets anywhere.
  const code::NextInstruction target =
      next.value_or(code::NextInstruction{position.registers.pc + 4, position.is_thumb()});
  return run_to(tid, std::array{target.address}, target.is_thumb);
}

// --- loops of exclusive accesses ---

// From an exclusive load: where its store ends, and where the code between them may go instead.
struct Sequence {
  std::vector<std::uint32_t> ends;  // behind the store first
  unsigned status_register = 0;
};

// Where a conditional branch at `pc` goes if it branches; nullopt: it is none.
std::optional<std::uint32_t> branch_target(std::uint32_t instruction, std::uint32_t pc,
                                           bool is_thumb) {
  const auto no_memory = [](void*, std::uint32_t, unsigned) {
    return std::optional<std::uint32_t>();
  };
  const std::uint32_t behind = pc + length_of(instruction, is_thumb);
  // With all flags clear and with all set, one of a condition and its contrary holds; registers of
  // both kinds are for CBZ and CBNZ.
  for (const std::uint32_t flags : {0x0U, 0xfU, 0x8U, 0x2U}) {
    for (const std::uint32_t value : {0U, 1U}) {
      code::CoreRegisters registers{.pc = pc, .cpsr = flags << 28 | (is_thumb ? 1U << 5 : 0)};
      registers.r.fill(value);
      const auto next = code::next_address(instruction, registers, {.read = no_memory});
      if (next && next->is_thumb == is_thumb && next->address != behind) return next->address;
    }
  }
  return std::nullopt;
}

std::optional<Sequence> sequence_from(ThreadId tid, const Position& load) {
  const bool is_thumb = load.is_thumb();
  const std::uint32_t first = load.registers.pc;
  Sequence sequence{.ends = {0}};
  for (std::uint32_t at = first; at < first + kLongestSequence;) {
    const auto instruction = instruction_at(tid, at, is_thumb);
    if (!instruction) return std::nullopt;
    const std::uint32_t behind = at + length_of(*instruction, is_thumb);
    if (const auto status = code::exclusive_store_status(*instruction, is_thumb)) {
      sequence.ends.front() = behind;
      sequence.status_register = *status;
      // A branch back into it ends in it.
      std::erase_if(sequence.ends, [&](std::uint32_t end) { return end >= first && end < behind; });
      return sequence;
    }
    if (const auto target = branch_target(*instruction, at, is_thumb))
      sequence.ends.push_back(*target);
    at = behind;
  }
  return std::nullopt;
}

}  // namespace

bool PtraceStep::ends_exclusive_loops() {
  return true;
}

std::expected<void, Error> PtraceStep::begin(ThreadId tid) {
  exclusive_.reset();
  const auto position = position_of(tid);
  if (!position) return std::unexpected(Error{ErrorCode::target_gone, ESRCH});
  from_ = position->registers.pc;
  if (const auto status =
          code::exclusive_store_status(position->instruction, position->is_thumb())) {
    exclusive_ = Exclusive{.behind_store = position->registers.pc +
                                           length_of(position->instruction, position->is_thumb()),
                           .status_register = *status,
                           .steps_left = kLongestLoop};
  } else if (code::is_exclusive_load(position->instruction, position->is_thumb())) {
    if (const auto sequence = sequence_from(tid, *position)) {
      exclusive_ = Exclusive{.behind_store = sequence->ends.front(),
                             .status_register = sequence->status_register,
                             .began_at_load = true,
                             .is_passing = true,
                             .steps_left = kLongestLoop};
      return run_to(tid, sequence->ends, position->is_thumb());
    }
  }
  return run_one(tid, *position);
}

bool PtraceStep::go_on(ThreadId tid) {
  const auto position = position_of(tid);
  if (!position || exclusive_->steps_left == 0) return false;
  --exclusive_->steps_left;
  const bool is_at_load = code::is_exclusive_load(position->instruction, position->is_thumb());
  const auto sequence = is_at_load ? sequence_from(tid, *position) : std::nullopt;
  exclusive_->is_passing = sequence.has_value();
  const auto running =
      sequence ? run_to(tid, sequence->ends, position->is_thumb()) : run_one(tid, *position);
  return running.has_value();
}

std::optional<PtraceStep::End> PtraceStep::end_at(const ThreadStop& stop) {
  const auto info =
      stop.kind == StopKind::signal ? signal_info(stop.tid) : std::optional<siginfo_t>();
  const auto fired = info ? fired_pair(*info) : std::nullopt;
  const bool is_own_stop = fired && fired->code;
  const auto registers = read_user_registers(stop.tid);
  if (!registers) return End{.has_run = false, .is_own_stop = is_own_stop};
  const std::uint64_t pc = registers->get(ArmRegister::pc).value_or(0);
  if (!exclusive_) return End{.has_run = pc != from_, .is_own_stop = is_own_stop};

  const bool is_behind_store = pc == exclusive_->behind_store;
  const bool has_stored =
      is_behind_store && registers->get(exclusive_->status_register).value_or(1) == 0;
  const bool has_left = exclusive_->is_passing && !is_behind_store;
  if (is_own_stop && !has_stored && !has_left && go_on(stop.tid)) return std::nullopt;
  const bool has_loaded = exclusive_->began_at_load && pc != from_;
  return End{.has_run = has_stored || has_loaded,
             .is_own_stop = is_own_stop,
             .ran_sequence = exclusive_->began_at_load};
}

}  // namespace trapline::linux_port
