#include "ports/armv7_virt/debug_events.h"

#include <algorithm>
#include <array>

#include "instructions/armv7/memory_access.h"
#include "instructions/armv7/next_address.h"
#include "instructions/armv7/status_access.h"
#include "isa/armv7/handler_load.h"
#include "isa/armv7/instruction_at.h"
#include "ports/armv7_virt/cpu.h"
#include "ports/armv7_virt/debug_unit.h"
#include "ports/armv7_virt/spinlock.h"
#include "ports/armv7_virt/timer.h"

namespace trapline::armv7_virt::debug_events {
namespace {

using isa::armv7::kIrqMaskBit;

// --- hits ---------------------------------------------------------------------------------------

class HitRing {
 public:
  void put(const Caught& hit) {
    const SpinlockGuard guard(lock_);
    if (count_ == kCapacity) {
      ++lost_;
      return;
    }
    hits_[(first_ + count_++) % kCapacity] = hit;
  }
  [[nodiscard]] std::optional<Caught> take() {
    const SpinlockGuard guard(lock_);
    if (count_ == 0) return std::nullopt;
    const Caught& oldest = hits_[first_];
    first_ = (first_ + 1) % kCapacity;
    --count_;
    return oldest;
  }
  [[nodiscard]] std::uint64_t lost() {
    const SpinlockGuard guard(lock_);
    return lost_;
  }

 private:
  Spinlock lock_;
  std::array<Caught, kCapacity> hits_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  std::uint64_t lost_ = 0;
};
HitRing ring;

// --- a step -------------------------------------------------------------------------------------

// Held from a hit to the end of its step: one CPU at a time is past a watchpoint.
Spinlock step_lock;

// A step of one CPU; only that CPU looks.
struct Step {
  bool is_active = false;
  std::uint32_t origin = 0;  // the instruction that is stepped over
  instructions::armv7::NextInstruction target{};
  // Registers that are off meanwhile.
  std::uint32_t suspended_data = 0;
  std::uint32_t suspended_code = 0;
  bool irqs_were_masked = false;
  // The register that tells whether an exclusive store stored.
  std::optional<unsigned> exclusive_status = std::nullopt;
  // Behind an exclusive store that failed: going through its loop, instruction by instruction,
  // until its load.
  bool goes_back = false;
  instructions::armv7::NextInstruction behind_store{};
  unsigned steps_left = 0;
  std::array<Caught, 4> hits{};  // one instruction can meet several registers
  std::size_t hit_count = 0;
};
std::array<Step, kMaxBoardCpus> all_steps;

// A loop around an exclusive store is shorter.
constexpr unsigned kLongestLoop = 64;

std::optional<std::uint32_t> read_memory(std::uint32_t address, unsigned length) {
  std::uint32_t word = 0;
  std::uint16_t half = 0;
  std::uint8_t byte = 0;
  switch (length) {
    case 1:
      if (!isa::armv7::load_in_handler(address, byte)) return std::nullopt;
      return byte;
    case 2:
      if (!isa::armv7::load_in_handler(address, half)) return std::nullopt;
      return half;
    default:
      if (!isa::armv7::load_in_handler(address, word)) return std::nullopt;
      return word;
  }
}

// Up to eight watched bytes as a number; bytes that cannot be read are zero.
std::uint64_t value_at(RemoteAddress address, ByteCount length) {
  constexpr unsigned kByteBits = 8;
  std::uint64_t value = 0;
  for (std::uint64_t index = 0; index < std::min<std::uint64_t>(length.value, 8); ++index) {
    const auto byte = read_memory(static_cast<std::uint32_t>(address.value() + index), 1);
    value |= std::uint64_t{byte.value_or(0)} << index * kByteBits;
  }
  return value;
}

instructions::armv7::CoreRegisters registers_of(const ExceptionFrame& frame) {
  instructions::armv7::CoreRegisters registers{.pc = frame.pc, .cpsr = frame.cpsr};
  std::ranges::copy(frame.r, registers.r.begin());
  registers.r[13] = frame.sp;
  registers.r[14] = frame.lr;
  return registers;
}

std::uint32_t instruction_of(const ExceptionFrame& frame) {
  return isa::armv7::instruction_at(frame.pc, frame.is_thumb());
}

// Where the instruction goes; behind itself if it is going to fault anyway.
instructions::armv7::NextInstruction next_of(const ExceptionFrame& frame) {
  const std::uint32_t instruction = instruction_of(frame);
  constexpr auto kRead = [](void* /*context*/, std::uint32_t address, unsigned length) {
    return read_memory(address, length);
  };
  const auto next = instructions::armv7::next_address(instruction, registers_of(frame), {kRead});
  return next.value_or(instructions::armv7::NextInstruction{frame.pc + 4, frame.is_thumb()});
}

// Executes an MRS, MSR or CPS. False: it is another instruction, and nothing has changed.
bool execute_status_access(ExceptionFrame& frame) {
  const auto after =
      instructions::armv7::execute_status_access(instruction_of(frame), registers_of(frame));
  if (!after) return false;
  std::copy_n(after->r.begin(), frame.r.size(), frame.r.begin());
  frame.pc = after->pc;
  frame.cpsr = after->cpsr;
  return true;
}

class Stepper {
 public:
  Stepper() : step_(all_steps[this_cpu().id.value]) {}
  Stepper(const Stepper&) = delete;
  Stepper& operator=(const Stepper&) = delete;
  ~Stepper() = default;

  [[nodiscard]] Step& step() { return step_; }

  // The instruction at the frame is to be executed with some registers off.
  void begin(ExceptionFrame& frame) {
    if (step_.is_active) return;
    step_lock.lock();
    step_ = {.is_active = true,
             .origin = frame.pc,
             .irqs_were_masked = (frame.cpsr & kIrqMaskBit) != 0,
             .exclusive_status = instructions::armv7::exclusive_store_status(instruction_of(frame),
                                                                             frame.is_thumb()),
             .steps_left = kLongestLoop};
    frame.cpsr |= kIrqMaskBit;
    go_to(next_of(frame));
    step_.behind_store = step_.target;
  }
  void suspend(SlotIndex index, bool code) {
    (code ? step_.suspended_code : step_.suspended_data) |= 1U << index.value;
    DebugUnit::suspend(index, code);
  }
  void add(const Caught& hit) {
    if (step_.hit_count < step_.hits.size()) step_.hits[step_.hit_count++] = hit;
  }
  [[nodiscard]] bool is_at_target(const ExceptionFrame& frame) const {
    return step_.is_active && frame.pc == step_.target.address;
  }

  // At the step's breakpoint: the end, unless an exclusive store failed because of us.
  void arrive(ExceptionFrame& frame) {
    if (step_.goes_back) {
      static_cast<void>(execute_status_accesses(frame));
      go_back(frame);
    } else if (step_.exclusive_status && frame.r[*step_.exclusive_status] != 0 &&
               step_.steps_left > 0) {
      step_.goes_back = true;
      if (execute_status_accesses(frame)) {
        go_back(frame);
      } else {
        go_to(next_of(frame));
      }
    } else {
      const bool has_stored = !step_.exclusive_status || frame.r[*step_.exclusive_status] == 0;
      end(frame, has_stored ? Ending::made : Ending::store_gave_up);
    }
  }
  void end(ExceptionFrame& frame, Ending ending) {
    debug_unit().clear_step();
    for (std::size_t index = 0; index < step_.hit_count; ++index) {
      Caught& hit = step_.hits[index];
      hit.ending = ending;
      hit.new_value = value_at(hit.address, hit.length);
      ring.put(hit);
    }
    resume(step_.suspended_data, false);
    resume(step_.suspended_code, true);
    if (!step_.irqs_were_masked) frame.cpsr &= ~kIrqMaskBit;
    step_.is_active = false;
    step_lock.unlock();
  }

 private:
  void go_to(instructions::armv7::NextInstruction target) {
    step_.target = target;
    debug_unit().set_step(target.address, target.is_thumb);
  }
  // Those that stand here in an exclusive store's loop, with the mask that the program has.
  [[nodiscard]] bool execute_status_accesses(ExceptionFrame& frame) {
    const std::uint32_t begin = frame.pc;
    if (!step_.irqs_were_masked) frame.cpsr &= ~kIrqMaskBit;
    while (step_.steps_left > 0 && execute_status_access(frame)) --step_.steps_left;
    step_.irqs_were_masked = (frame.cpsr & kIrqMaskBit) != 0;
    frame.cpsr |= kIrqMaskBit;
    return frame.pc != begin;
  }
  // From the loop's load on there may be no trap up to the store, or it would fail again. An
  // interrupt may come, and end the step: what if the loop is left in between?
  void go_back(ExceptionFrame& frame) {
    if (instructions::armv7::is_exclusive_load(instruction_of(frame), frame.is_thumb())) {
      step_.goes_back = false;
      if (!step_.irqs_were_masked) frame.cpsr &= ~kIrqMaskBit;
      go_to(step_.behind_store);
    } else if (step_.steps_left == 0) {
      end(frame, Ending::store_gave_up);
    } else {
      --step_.steps_left;
      go_to(next_of(frame));
    }
  }
  static void resume(std::uint32_t suspended, bool code) {
    for (std::uint8_t index = 0; index < InstalledSlots::kBank; ++index) {
      if ((suspended >> index & 1) != 0) debug_unit().resume(SlotIndex{index}, code);
    }
  }

  HitsOff hits_off_;
  Step& step_;
};

// --- which register ------------------------------------------------------------------------------

bool can_catch(Access watched, Access access) {
  return watched == access || watched == Access::read_write || access == Access::read_write;
}

// The CPU tells an address of the access, which begins at or before the watched bytes and may be
// longer than them (DFAR, B3.13.4: between the lowest address accessed and the highest watched
// one).
bool may_be(const DebugSlot& slot, std::uint32_t address) {
  constexpr std::uint64_t kLongestAccess = 64;  // a load or store of sixteen registers
  const std::uint64_t begin = slot.address.value();
  return address < begin + slot.length.value && begin < address + kLongestAccess;
}

// The register that the address points to; if none does, the only one that is on.
std::optional<SlotIndex> data_slot_for(const Step& step, std::uint32_t address, Access access) {
  const InstalledSlots& installed = DebugUnit::installed();
  std::optional<SlotIndex> nearest;
  std::optional<SlotIndex> only;
  unsigned count = 0;
  std::uint64_t nearest_begin = 0;
  for (std::uint8_t index = 0; index < InstalledSlots::kBank; ++index) {
    const auto& slot = installed.data[index];
    const bool is_off = step.is_active && (step.suspended_data >> index & 1) != 0;
    if (!slot || is_off || !can_catch(slot->access, access)) continue;
    ++count;
    only = SlotIndex{index};
    if (!may_be(*slot, address)) continue;
    if (nearest && slot->address.value() >= nearest_begin) continue;
    nearest = SlotIndex{index};
    nearest_begin = slot->address.value();
  }
  if (nearest) return nearest;
  return count == 1 ? only : std::nullopt;
}

Caught caught_at(const ExceptionFrame& frame) {
  return {.time = timer::now(), .cpu = this_cpu().id, .pc = frame.pc, .is_thumb = frame.is_thumb()};
}

// Instructions that are not stepped over.
bool is_executed_here(const ExceptionFrame& frame) {
  return instructions::armv7::status_access_of(instruction_of(frame), frame.is_thumb()) ==
         instructions::armv7::StatusAccess::executable;
}

// A hit for each breakpoint at the frame's instruction; false: there is none.
bool add_code_hits(Stepper& stepper, ExceptionFrame& frame) {
  bool meets_slot = false;
  for (std::uint8_t index = 0; index < InstalledSlots::kBank; ++index) {
    const auto& slot = DebugUnit::installed().code[index];
    if (!slot || (slot->address.value() & ~std::uint64_t{1}) != frame.pc) continue;
    meets_slot = true;
    Caught hit = caught_at(frame);
    hit.access = Access::execute;
    hit.slot = SlotIndex{index};
    hit.address = slot->address;
    hit.length = slot->length;
    hit.accessed = slot->address;
    if (is_executed_here(frame)) {
      hit.ending = Ending::made;
      ring.put(hit);
      continue;
    }
    stepper.begin(frame);
    stepper.suspend(SlotIndex{index}, true);
    stepper.add(hit);
  }
  return meets_slot;
}

}  // namespace

std::optional<Caught> take() {
  return ring.take();
}

std::uint64_t lost() {
  return ring.lost();
}

bool on_access(ExceptionFrame& frame, std::uint32_t address) {
  Stepper stepper;
  const auto decoded = instructions::armv7::access_of(instruction_of(frame), frame.is_thumb());
  // What is not known to be either may be both.
  const Access access = decoded.value_or(Access::read_write);
  const auto index = data_slot_for(stepper.step(), address, access);
  stepper.begin(frame);
  Caught hit = caught_at(frame);
  hit.access = access;
  if (!index) {
    // All of them may have fired; the instruction has to get past.
    const InstalledSlots& installed = DebugUnit::installed();
    for (std::uint8_t slot = 0; slot < InstalledSlots::kBank; ++slot) {
      if (installed.data[slot]) stepper.suspend(SlotIndex{slot}, false);
    }
    stepper.add(hit);
    return true;
  }
  const DebugSlot& slot = *DebugUnit::installed().data[index->value];
  hit.slot = index;
  hit.address = slot.address;
  hit.length = slot.length;
  if (may_be(slot, address)) hit.accessed = RemoteAddress(address);
  hit.old_value = value_at(slot.address, slot.length);
  stepper.suspend(*index, false);
  stepper.add(hit);
  return true;
}

bool on_instruction(ExceptionFrame& frame) {
  Stepper stepper;
  bool is_ours = false;
  if (stepper.is_at_target(frame)) {
    stepper.arrive(frame);
    is_ours = true;
    // In the middle of an exclusive store's loop: what else stands here has its turn next time.
    if (stepper.step().is_active) return true;
  }
  const bool meets_slot = add_code_hits(stepper, frame);
  if (meets_slot && is_executed_here(frame)) static_cast<void>(execute_status_access(frame));
  return is_ours || meets_slot;
}

void abandon_step(ExceptionFrame& frame, Ending ending) {
  if (!all_steps[this_cpu().id.value].is_active) return;
  Stepper().end(frame, ending);
}

}  // namespace trapline::armv7_virt::debug_events
