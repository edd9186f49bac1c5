// The vocabulary of hotplug states: their numbers, sections, callbacks and instances.
//
// Model: the Linux kernel's CPU hotplug states (Documentation/core-api/cpu_hotplug.rst), whose
// names are kept. Plain values; freestanding; usable in any context.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

#include "trapline/base/error.h"
#include "trapline/base/units.h"

namespace trapline::hotplug {

// A CPU at state N has run the startup of every state up to N. 0 is offline.
using StateNumber = Quantity<struct StateNumberTag, std::uint16_t>;

// Where a state's callbacks run, and whether they may fail.
enum class Section : std::uint8_t {
  prepare,   // on the controlling thread, the CPU not running; startup may fail, teardown may not
  starting,  // on the CPU, interrupts masked; may not fail: an error is traced and the walk goes on
  online,    // on the CPU's hotplug thread; both directions may fail
};

[[nodiscard]] constexpr std::string_view name_of(Section section) {
  switch (section) {
    case Section::prepare:
      return "prepare";
    case Section::starting:
      return "starting";
    case Section::online:
      return "online";
  }
  return "?";
}

enum class Direction : std::uint8_t { startup, teardown };

// How many states there are. The numbers, ascending, are: offline; the prepare states, fixed ones
// first; bringup, in which the CPU is started; the starting states; running, from which on the CPU
// is one of OnlineCpus; the online states, fixed ones first; online.
struct StateLayout {
  std::uint16_t prepare_fixed = 8;
  std::uint16_t prepare_dynamic = 20;
  std::uint16_t starting_fixed = 16;
  std::uint16_t online_fixed = 8;
  std::uint16_t online_dynamic = 40;

  [[nodiscard]] static constexpr StateNumber offline() { return StateNumber{0}; }
  [[nodiscard]] constexpr StateNumber bringup() const {
    return after(offline(), prepare_fixed + prepare_dynamic + 1);
  }
  [[nodiscard]] constexpr StateNumber running() const {
    return after(bringup(), starting_fixed + 1);
  }
  [[nodiscard]] constexpr StateNumber online() const {
    return after(running(), online_fixed + online_dynamic + 1);
  }
  // How many numbers there are, offline and online included.
  [[nodiscard]] constexpr std::size_t count() const { return std::size_t{online().value} + 1; }

  // The section a number belongs to; nullopt for offline, bringup, running, online and for what is
  // out of range.
  [[nodiscard]] constexpr std::optional<Section> section_of(StateNumber number) const {
    if (number <= offline() || number >= online()) return std::nullopt;
    if (number < bringup()) return Section::prepare;
    if (number == bringup() || number == running()) return std::nullopt;
    return number < running() ? Section::starting : Section::online;
  }
  [[nodiscard]] constexpr StateNumber first_of(Section section) const {
    switch (section) {
      case Section::prepare:
        return after(offline(), 1);
      case Section::starting:
        return after(bringup(), 1);
      case Section::online:
        return after(running(), 1);
    }
    return offline();
  }
  [[nodiscard]] constexpr std::uint16_t fixed_in(Section section) const {
    switch (section) {
      case Section::prepare:
        return prepare_fixed;
      case Section::starting:
        return starting_fixed;
      case Section::online:
        return online_fixed;
    }
    return 0;
  }
  [[nodiscard]] constexpr std::uint16_t dynamic_in(Section section) const {
    switch (section) {
      case Section::prepare:
        return prepare_dynamic;
      case Section::starting:
        return 0;
      case Section::online:
        return online_dynamic;
    }
    return 0;
  }

 private:
  [[nodiscard]] static constexpr StateNumber after(StateNumber number, int steps) {
    return StateNumber{static_cast<std::uint16_t>(number.value + steps)};
  }
};

// Which number a new state asks for.
struct Placement {
  Section section = Section::online;
  // Fixed: the index among the section's fixed states, lower ones start earlier. Dynamic: nullopt,
  // any free number behind the fixed ones; of two dynamic states the one set up first need not
  // start first.
  std::optional<std::uint16_t> index = std::nullopt;

  [[nodiscard]] static constexpr Placement dynamic(Section section) {
    return {section, std::nullopt};
  }
  [[nodiscard]] static constexpr Placement fixed(Section section, std::uint16_t index) {
    return {section, index};
  }
};

// One object among many that share a multi-instance state. Derive from it; the object must stay
// where it is and live until remove_instance. Linked by the state machine only.
class Instance {
 public:
  Instance() = default;
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  [[nodiscard]] bool is_added() const { return is_added_; }

 protected:
  ~Instance() = default;

 private:
  friend class InstanceList;
  Instance* next_ = nullptr;
  Instance* previous_ = nullptr;
  bool is_added_ = false;
};

// What a callback is told.
struct CallbackContext {
  CpuId cpu;
  Direction direction = Direction::startup;
  // Whether the callback runs on `cpu`. Never for prepare states; for others, unless the CPU is
  // lost or this process may not run on it (affinity, cpuset).
  bool on_cpu = false;
  // The CPU is gone already: a teardown can neither use it nor refuse.
  bool cpu_is_lost = false;
  void* object = nullptr;        // StateDefinition::object
  Instance* instance = nullptr;  // of a multi-instance state
};

// A callback may block, but for one of a starting state on bare metal. It may not throw, nor call
// the state machine (in_callback), nor take the read lock (a bug): the CPUs are already held still
// around it.
using Callback = std::expected<void, Error> (*)(const CallbackContext& context);

struct StateDefinition {
  // For people: "app/pool:online". Not empty; a literal, or else it outlives the machine, whose
  // watchdog may print it last of all.
  std::string_view name;
  Placement placement{};
  Callback startup = nullptr;  // nullptr: nothing to do in this direction
  Callback teardown = nullptr;
  void* object = nullptr;  // handed to the callbacks
};

namespace detail {
template <typename Method>
struct MethodClass;
template <typename Result, typename Class, typename... Arguments>
struct MethodClass<Result (Class::*)(Arguments...)> {
  using type = Class;
};
}  // namespace detail

// A callback that calls a member function `expected<void, Error> T::f(const CallbackContext&)` of
// StateDefinition::object, which must be a T*.
template <auto Method>
inline constexpr Callback method =  // NOLINT(readability-identifier-naming): reads as a call
    [](const CallbackContext& context) -> std::expected<void, Error> {
  using Class = typename detail::MethodClass<decltype(Method)>::type;
  return (static_cast<Class*>(context.object)->*Method)(context);
};

// The same of the instance, which must be a T derived from Instance.
template <auto Method>
inline constexpr Callback instance_method =  // NOLINT(readability-identifier-naming)
    [](const CallbackContext& context) -> std::expected<void, Error> {
  using Class = typename detail::MethodClass<decltype(Method)>::type;
  return (static_cast<Class*>(context.instance)->*Method)(context);
};

}  // namespace trapline::hotplug
