// Owns one hotplug state: what setup_state returns. Freestanding.
#pragma once

#include <cstdint>
#include <utility>

#include "trapline/hotplug/state.h"

namespace trapline::hotplug {

// Move-only. When it dies it removes its state as remove_state does; a state that cannot be removed
// then (instances left, the read lock held, from within a callback) is a bug, and said so. The
// state machine outlives it.
class [[nodiscard]] StateHandle {
 public:
  StateHandle() = default;
  StateHandle(StateHandle&& other) noexcept { swap(other); }
  StateHandle& operator=(StateHandle&& other) noexcept {
    StateHandle moved(std::move(other));
    swap(moved);
    return *this;
  }
  StateHandle(const StateHandle&) = delete;
  StateHandle& operator=(const StateHandle&) = delete;
  ~StateHandle() {
    if (machine_ != nullptr) remove_(machine_, *this);
  }

  [[nodiscard]] bool owns_state() const { return machine_ != nullptr; }
  [[nodiscard]] StateNumber number() const { return number_; }

 private:
  template <typename>
  friend class StateMachine;
  using Remove = void (*)(void* machine, StateHandle& handle);

  StateHandle(void* machine, Remove remove, StateNumber number, std::uint32_t generation)
      : machine_(machine), remove_(remove), number_(number), generation_(generation) {}
  void swap(StateHandle& other) noexcept {
    std::swap(machine_, other.machine_);
    std::swap(remove_, other.remove_);
    std::swap(number_, other.number_);
    std::swap(generation_, other.generation_);
  }
  void forget() { machine_ = nullptr; }

  void* machine_ = nullptr;
  Remove remove_ = nullptr;
  StateNumber number_;
  std::uint32_t generation_ = 0;
};

}  // namespace trapline::hotplug
