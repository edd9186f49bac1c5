// The exception tables of the modules of this process.
//
// add and remove: any thread, not signal handlers; they take no lock, so a fork at any moment
// leaves the child able to go on. find_entry: anywhere, also in the handler of a fault, while
// tables come and go; never waits. A table is never looked into unless the instruction lies between
// its first and last: then its module is executing, and nobody may be unloading it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "trapline/base/error.h"
#include "trapline/fault/exception_table.h"

namespace trapline::linux_port {

class ModuleRegistry {
 public:
  constexpr ModuleRegistry() = default;
  ModuleRegistry(const ModuleRegistry&) = delete;
  ModuleRegistry& operator=(const ModuleRegistry&) = delete;

  // Sorts what is not sorted, and publishes it. A table that is here already stays once. Errors:
  // duplicate (two entries for one instruction), limit_reached (no memory); nothing is added then.
  [[nodiscard]] std::expected<void, Error> add(std::span<const fault::ExceptionEntry> entries);

  // When it returns, nothing of the table is looked at any more, except by whoever executes the
  // module. false: there was none that begins there.
  bool remove(const fault::ExceptionEntry* begin);

  [[nodiscard]] const fault::ExceptionEntry* find_entry(std::uintptr_t instruction) const;

  // Tables that are here now.
  [[nodiscard]] std::size_t module_count() const;

 private:
  // One table. `version` is odd while the rest is being changed; a reader that sees it change has
  // met a module that comes or goes, which is not the one that executes the reader's instruction.
  struct Slot {
    std::atomic<std::uint32_t> version{0};
    std::atomic<bool> is_taken{false};     // by whoever may write
    std::atomic<std::uintptr_t> first{1};  // instructions; first > last: an empty slot
    std::atomic<std::uintptr_t> last{0};
    std::atomic<const fault::ExceptionEntry*> entries{nullptr};
    std::atomic<const std::uint32_t*> order{nullptr};
    std::atomic<std::size_t> count{0};
  };
  struct Chunk {
    static constexpr std::size_t kSlots = 60;
    std::array<Slot, kSlots> slots{};
    std::atomic<Chunk*> next{nullptr};
  };

  // What a slot tells readers of a table. By default: of none.
  struct Published {
    std::uintptr_t first = 1;
    std::uintptr_t last = 0;
    const fault::ExceptionEntry* entries = nullptr;
    const std::uint32_t* order = nullptr;
    std::size_t count = 0;
  };
  // All of it at once, as readers see it. By the slot's owner.
  static void publish(Slot& slot, const Published& table);

  // Calls visit(slot) until it returns true; whether it did.
  template <typename Self, typename Visitor>
  static bool any_slot(Self& self, Visitor visit);

  [[nodiscard]] Slot* take_free_slot();
  [[nodiscard]] static Slot* take_free_slot_in(Chunk& chunk);
  // The chunk after this one; a new one if there is none. nullptr: no memory.
  [[nodiscard]] static Chunk* next_of(Chunk& chunk);
  [[nodiscard]] Slot* slot_of(const fault::ExceptionEntry* begin);
  [[nodiscard]] static const fault::ExceptionEntry* find_in(const Slot& slot,
                                                            std::uintptr_t instruction);

  Chunk first_chunk_;
};

// The one that trapline_register_entries_v1 adds to.
[[nodiscard]] ModuleRegistry& module_registry();

// The process ends: from now on no table is removed. Modules stay in memory, and other threads may
// still execute them.
void keep_modules_registered();

}  // namespace trapline::linux_port
