#include "ports/linux/fault/module_registry.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <new>
#include <string_view>

#include "trapline/linux/detail/own_entries.h"

namespace trapline::linux_port {
namespace {

using fault::ExceptionEntry;
using fault::ExceptionTable;

// Pages of our own: the allocator may be what is being loaded.
void* map_pages(std::size_t bytes) {
  void* const pages =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return pages == MAP_FAILED ? nullptr : pages;
}

constexpr std::size_t order_bytes(std::size_t count) {
  return count * sizeof(std::uint32_t);
}

std::atomic<bool> modules_stay{false};

// A constructor has nobody to return an error to, and guarded accesses that crash would be worse.
[[noreturn]] void give_up(std::string_view message) {
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, message.data(), message.size());
  std::abort();
}

}  // namespace

template <typename Self, typename Visitor>
bool ModuleRegistry::any_slot(Self& self, Visitor visit) {
  for (auto* chunk = &self.first_chunk_; chunk != nullptr;
       chunk = chunk->next.load(std::memory_order_acquire)) {  // pairs with next_of
    for (auto& slot : chunk->slots) {
      if (visit(slot)) return true;
    }
  }
  return false;
}

ModuleRegistry::Slot* ModuleRegistry::take_free_slot_in(Chunk& chunk) {
  for (Slot& slot : chunk.slots) {
    // Acquire: what the last owner wrote comes before what the next one writes.
    if (!slot.is_taken.exchange(true, std::memory_order_acquire)) return &slot;
  }
  return nullptr;
}

ModuleRegistry::Chunk* ModuleRegistry::next_of(Chunk& chunk) {
  Chunk* next = chunk.next.load(std::memory_order_acquire);
  if (next != nullptr) return next;
  void* const pages = map_pages(sizeof(Chunk));
  if (pages == nullptr) return nullptr;
  auto* const made = new (pages) Chunk;
  // Release: whoever finds the chunk finds its slots made. It is never given back.
  if (chunk.next.compare_exchange_strong(next, made, std::memory_order_acq_rel)) return made;
  ::munmap(pages, sizeof(Chunk));
  return next;
}

ModuleRegistry::Slot* ModuleRegistry::take_free_slot() {
  for (Chunk* chunk = &first_chunk_; chunk != nullptr; chunk = next_of(*chunk)) {
    if (Slot* const slot = take_free_slot_in(*chunk); slot != nullptr) return slot;
  }
  return nullptr;
}

ModuleRegistry::Slot* ModuleRegistry::slot_of(const ExceptionEntry* begin) {
  Slot* found = nullptr;
  any_slot(*this, [&](Slot& slot) {
    if (slot.entries.load(std::memory_order_relaxed) != begin) return false;
    found = &slot;
    return true;
  });
  return found;
}

void ModuleRegistry::publish(Slot& slot, const Published& table) {
  const std::uint32_t version = slot.version.load(std::memory_order_relaxed);
  slot.version.store(version + 1, std::memory_order_relaxed);
  // A reader that sees one of the stores below sees the odd version as well: pairs with find_in.
  std::atomic_thread_fence(std::memory_order_release);
  slot.first.store(table.first, std::memory_order_relaxed);
  slot.last.store(table.last, std::memory_order_relaxed);
  slot.entries.store(table.entries, std::memory_order_relaxed);
  slot.order.store(table.order, std::memory_order_relaxed);
  slot.count.store(table.count, std::memory_order_relaxed);
  slot.version.store(version + 2, std::memory_order_release);
}

std::expected<void, Error> ModuleRegistry::add(std::span<const ExceptionEntry> entries) {
  if (entries.empty() || slot_of(entries.data()) != nullptr) return {};

  ExceptionTable table(entries);
  std::uint32_t* order = nullptr;
  const auto refuse = [&](ErrorCode code) {
    if (order != nullptr) ::munmap(order, order_bytes(entries.size()));
    return std::unexpected(Error{code});
  };
  if (!table.is_strictly_sorted()) {
    order = static_cast<std::uint32_t*>(map_pages(order_bytes(entries.size())));
    if (order == nullptr) return refuse(ErrorCode::limit_reached);
    fault::sort_order(entries, std::span(order, entries.size()));
    table = ExceptionTable(entries, order);
    if (!table.is_strictly_sorted()) return refuse(ErrorCode::duplicate);
  }
  Slot* const slot = take_free_slot();
  if (slot == nullptr) return refuse(ErrorCode::limit_reached);

  publish(*slot, {.first = table.at(0).instruction(),
                  .last = table.at(table.size() - 1).instruction(),
                  .entries = entries.data(),
                  .order = order,
                  .count = entries.size()});
  return {};
}

bool ModuleRegistry::remove(const ExceptionEntry* begin) {
  Slot* const slot = begin != nullptr ? slot_of(begin) : nullptr;
  if (slot == nullptr) return false;
  auto* const order = const_cast<std::uint32_t*>(slot->order.load(std::memory_order_relaxed));
  const std::size_t count = slot->count.load(std::memory_order_relaxed);
  publish(*slot, {});
  slot->is_taken.store(false, std::memory_order_release);  // pairs with take_free_slot_in
  if (order != nullptr) ::munmap(order, order_bytes(count));
  return true;
}

const ExceptionEntry* ModuleRegistry::find_in(const Slot& slot, std::uintptr_t instruction) {
  const std::uint32_t before = slot.version.load(std::memory_order_acquire);
  if (instruction < slot.first.load(std::memory_order_relaxed) ||
      instruction > slot.last.load(std::memory_order_relaxed)) {
    return nullptr;
  }
  const std::span entries(slot.entries.load(std::memory_order_relaxed),
                          slot.count.load(std::memory_order_relaxed));
  const std::uint32_t* const order = slot.order.load(std::memory_order_relaxed);
  // Pairs with the fence of publish: the loads above come before the one below.
  std::atomic_thread_fence(std::memory_order_acquire);
  const bool is_steady = before % 2 == 0 && slot.version.load(std::memory_order_relaxed) == before;
  return is_steady ? ExceptionTable(entries, order).find_entry(instruction) : nullptr;
}

const ExceptionEntry* ModuleRegistry::find_entry(std::uintptr_t instruction) const {
  const ExceptionEntry* found = nullptr;
  any_slot(*this, [&](const Slot& slot) {
    found = find_in(slot, instruction);
    return found != nullptr;
  });
  return found;
}

std::size_t ModuleRegistry::module_count() const {
  std::size_t count = 0;
  any_slot(*this, [&](const Slot& slot) {
    if (slot.entries.load(std::memory_order_relaxed) != nullptr) ++count;
    return false;
  });
  return count;
}

ModuleRegistry& module_registry() {
  // Ready before any constructor runs, and still there after every destructor.
  static constinit ModuleRegistry registry;
  return registry;
}

void keep_modules_registered() {
  modules_stay.store(true, std::memory_order_relaxed);
}

}  // namespace trapline::linux_port

void trapline_register_entries_v1(const trapline::fault::ExceptionEntry* begin,
                                  const trapline::fault::ExceptionEntry* end) {
  const auto added = trapline::linux_port::module_registry().add({begin, end});
  if (added) return;
  if (added.error().code == trapline::ErrorCode::duplicate) {
    trapline::linux_port::give_up(
        "trapline: a module has two exception-table entries for one instruction. "
        "Look at its uses of TRAPLINE_EXCEPTION_ENTRY.\n");
  }
  trapline::linux_port::give_up(
      "trapline: there is no memory to register a module's exception table. "
      "Raise the limit of address space (ulimit -v).\n");
}

void trapline_unregister_entries_v1(const trapline::fault::ExceptionEntry* begin) {
  if (trapline::linux_port::modules_stay.load(std::memory_order_relaxed)) return;
  trapline::linux_port::module_registry().remove(begin);
}
