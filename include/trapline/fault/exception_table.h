// The exception table: which instructions may fault, and where each continues then.
//
// An instruction that may fault has an entry beside it (exception_entry.h). Whoever handles the
// fault (a signal handler, an abort handler) looks the faulting instruction up and moves the
// program counter to the fixup. Nothing is set before the access and nothing is shared: without a
// fault, an entry costs nothing. This is the Linux kernel's __ex_table, with its names.
//
// Freestanding. Everything but the two sorting functions may be called in any context, the handler
// of the fault itself included, by any number of CPUs or threads at once.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "trapline/fault/exception_entry.h"

namespace trapline::fault {

// One entry, as the assembler lays it out. It knows instructions by their distance from itself: it
// can neither be copied nor moved.
struct ExceptionEntry {
  std::int32_t instruction_distance;
  std::int32_t fixup_distance;
  std::uint32_t guards;  // TRAPLINE_GUARD_...

  ExceptionEntry() = default;
  ExceptionEntry(const ExceptionEntry&) = delete;
  ExceptionEntry& operator=(const ExceptionEntry&) = delete;

  [[nodiscard]] std::uintptr_t instruction() const { return at(instruction_distance); }
  [[nodiscard]] std::uintptr_t fixup() const { return at(fixup_distance); }

 private:
  static std::uintptr_t at(const std::int32_t& distance) {
    // Through intptr_t: a distance may be negative. Unsigned, since addresses wrap.
    return reinterpret_cast<std::uintptr_t>(&distance) +
           static_cast<std::uintptr_t>(static_cast<std::intptr_t>(distance));
  }
};
static_assert(sizeof(ExceptionEntry) == 12 && alignof(ExceptionEntry) == 4);

// Why an access failed. The values are part of the fault word, and go into no file.
enum class FaultKind : std::uint8_t {
  none = 0,
  unmapped,        // nothing is there
  no_permission,   // something is there, and may not be accessed so
  not_an_address,  // x86: outside the canonical ranges; the CPU does not say which address it was
  misaligned,      // the CPU cannot do this access at such an address
  no_backing,  // a mapping without memory behind it: past the end of a truncated file, a bus error
  broken_memory,    // the memory reported an error that cannot be corrected
  wrong_tag,        // memory tagging, protection keys
  bad_instruction,  // undefined here, or not permitted
  breakpoint,       // a breakpoint instruction
  other,
};

// What the handler of a fault knows of it.
struct FaultEvent {
  FaultKind kind = FaultKind::other;
  // All that the instruction may have been about, as the CPU tells it: a sum of TRAPLINE_GUARD_...
  std::uint32_t attempted = 0;
  // What the CPU gave as the address, 0 if nothing: not always one that the program used.
  std::uintptr_t address = 0;
};

// The fault word: kind and address in one register. The address loses its upper eight bits, which a
// program that knows about where it looked puts back (AccessError in guarded_access.h does).
inline constexpr unsigned kFaultAddressShift = 8;
[[nodiscard]] constexpr std::uintptr_t fault_word(const FaultEvent& event) {
  return (event.address << kFaultAddressShift) | static_cast<std::uintptr_t>(event.kind);
}
[[nodiscard]] constexpr FaultKind kind_of_fault(std::uintptr_t word) {
  return static_cast<FaultKind>(word & ((1U << kFaultAddressShift) - 1));
}

// The interrupted program's registers, as the handler can see and change them.
template <typename C>
concept FaultContext = requires(C& context, const C& seen, std::uintptr_t value) {
  // The address of the faulting instruction itself, where the CPU reports another one too, without
  // the bit that says Thumb.
  { seen.faulting_instruction() } -> std::same_as<std::uintptr_t>;
  // Continues there when the handler returns, in the same instruction set; what belongs to the
  // instruction that was skipped is cleared (Armv7: the IT bits; arm64: BTYPE).
  context.continue_at(value);
  // Sets TRAPLINE_FAULT_REGISTER.
  context.set_fault_word(value);
};

// Entries in ascending order of their instructions, seen through `order` if they are not stored so.
class ExceptionTable {
 public:
  constexpr ExceptionTable() = default;
  // `entries` is sorted itself.
  explicit constexpr ExceptionTable(std::span<const ExceptionEntry> entries) : entries_(entries) {}
  // `order` has the index of each entry once: of the one with the lowest instruction first.
  constexpr ExceptionTable(std::span<const ExceptionEntry> entries, const std::uint32_t* order)
      : entries_(entries), order_(order) {}

  [[nodiscard]] constexpr std::size_t size() const { return entries_.size(); }
  [[nodiscard]] const ExceptionEntry& at(std::size_t rank) const {
    return entries_[order_ == nullptr ? rank : order_[rank]];
  }

  // The entry of exactly this instruction, or null. At most 1 + log2(size()) entries are looked at;
  // `probes`, if given, grows by their number.
  [[nodiscard]] const ExceptionEntry* find_entry(std::uintptr_t instruction,
                                                 std::uint32_t* probes = nullptr) const;

  // Whether no instruction stands before or at the same place as the one before it: two entries for
  // one instruction contradict each other.
  [[nodiscard]] bool is_strictly_sorted() const;

 private:
  std::span<const ExceptionEntry> entries_;
  const std::uint32_t* order_ = nullptr;
};

// Sorts in place: where the section is writable while nobody looks anything up yet, as on bare
// metal at boot. Any number of entries, O(n log n), no memory but the entries.
void sort_entries(std::span<ExceptionEntry> entries);

// Writes the order that ExceptionTable takes: where entries are read-only. `order` is as long as
// `entries`.
void sort_order(std::span<const ExceptionEntry> entries, std::span<std::uint32_t> order);

// Moves the program to the entry's fixup, if the entry is for such a fault. false: nothing has
// changed.
template <FaultContext C>
[[nodiscard]] bool apply_fixup(const ExceptionEntry& entry, C& context, const FaultEvent& event) {
  if ((entry.guards & event.attempted) == 0) return false;
  if ((entry.guards & TRAPLINE_GUARD_FAULT_WORD) != 0) context.set_fault_word(fault_word(event));
  context.continue_at(entry.fixup());
  return true;
}

// false: this fault is not a guarded one, it is a bug or somebody else's; nothing has changed.
template <FaultContext C>
[[nodiscard]] bool fixup_exception(const ExceptionTable& table, C& context,
                                   const FaultEvent& event) {
  const ExceptionEntry* entry = table.find_entry(context.faulting_instruction());
  return entry != nullptr && apply_fixup(*entry, context, event);
}

}  // namespace trapline::fault
