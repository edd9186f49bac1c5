#include "ports/linux/watchpoint/watch_table.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "ports/linux/watchpoint/watched_bytes.h"
#include "trapline/fault/frame_walk.h"
#include "trapline/linux/guarded_access.h"

namespace trapline::linux_port {
namespace {

// A number: the table's own mark above, since other tables may be in the process (a shared object
// that brought its own); then place, slot and generation.
constexpr unsigned kMarkShift = 32;
constexpr unsigned kPlaceShift = 28;
constexpr unsigned kSlotShift = 24;
constexpr std::uint32_t kFourBits = 0xf;
constexpr std::uint32_t kGenerationMask = (1U << kSlotShift) - 1;
// So whatever place a number names there is.
static_assert(WatchTable::kPlaces == kFourBits + 1 && kMaxPlanSlots <= kFourBits + 1);

// This thread is in a handler: what it accesses there is not told. Not allocated at its first use,
// as the thread-local data of a shared object would be.
[[gnu::tls_model("initial-exec")]] thread_local constinit bool is_in_handler = false;

[[noreturn]] void give_up(const char* message) {
  (void)!::write(STDERR_FILENO, message, std::strlen(message));
  std::abort();
}

// SIGTRAP, so that what the handler accesses does not stay pending (before 5.18 it would end the
// process); those of guarded loads, since a fault whose signal is blocked is the end. Needed in a
// hit within a hit, too: a handler that hands signals on to ours may block them all each time. The
// return from the signal handler restores the mask.
void unblock_faults() {
  sigset_t faults;
  ::sigemptyset(&faults);
  for (const int signal : {SIGTRAP, SIGSEGV, SIGBUS}) ::sigaddset(&faults, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &faults, nullptr);
}

}  // namespace

std::uint64_t WatchTable::own_mark() const {
  constexpr unsigned kAlignedBits = 3;
  return std::uint64_t{reinterpret_cast<std::uintptr_t>(this) >> kAlignedBits} << kMarkShift;
}

std::uint64_t WatchTable::number_of(Place place, std::size_t slot) const {
  const std::uint32_t generation =
      entries_[place].generation.load(std::memory_order_relaxed) & kGenerationMask;
  return own_mark() | std::uint64_t{place} << kPlaceShift | std::uint64_t{slot} << kSlotShift |
         generation;
}

std::optional<WatchTable::Number> WatchTable::decode(std::uint64_t number) const {
  if (number >> kMarkShift != own_mark() >> kMarkShift) return std::nullopt;
  const auto low = static_cast<std::uint32_t>(number);
  return Number{low >> kPlaceShift, low >> kSlotShift & kFourBits, low & kGenerationMask};
}

std::optional<WatchTable::Place> WatchTable::add(const WatchDescription& watch) {
  for (Place place = 0; place < kPlaces; ++place) {
    Entry& entry = entries_[place];
    // Pairs with the release in remove: what the last owner did to the entry is done.
    if (entry.is_taken.exchange(true, std::memory_order_acquire)) continue;
    entry.watch = &watch;
    remember_values(place);
    // Pairs with the load in deliver.
    entry.generation.fetch_add(1, std::memory_order_seq_cst);
    return place;
  }
  return std::nullopt;
}

void WatchTable::remember_values(Place place) {
  Entry& entry = entries_[place];
  const WatchDescription& watch = *entry.watch;
  if (watch.request.access == Access::execute) return;
  std::size_t slot = 0;
  for (const SlotRequest& request : watch.plan.slots()) {
    (void)entry.last_values[slot++].exchange(read_watched(request));
  }
}

void WatchTable::remove(Place place) {
  Entry& entry = entries_[place];
  if (is_in_handler) {
    give_up(
        "trapline: a Watchpoint was destroyed inside the handler of a watch, where it could wait "
        "for "
        "ever. Set a flag there and destroy it afterwards.\n");
  }
  // Either a handler sees that the generation has changed, or this sees it in flight: both are
  // stores followed by loads of the other, in one order for all threads.
  entry.generation.fetch_add(1, std::memory_order_seq_cst);
  while (has_flights(entry)) ::sched_yield();
  entry.watch = nullptr;
  entry.is_taken.store(false, std::memory_order_release);
}

void WatchTable::remove_after_fork(Place place) {
  Entry& entry = entries_[place];
  entry.generation.fetch_add(1, std::memory_order_seq_cst);
  entry.watch = nullptr;
  entry.is_taken.store(false, std::memory_order_release);
}

// The thread that forked may be in a handler itself, in which it cannot wait for its own end
// either: it is forgotten as the others are, and must not be subtracted when it comes back. So the
// count has a number above it, which changes here; all there is changes by single instructions,
// between which a handler of another signal may fork.
void WatchTable::forget_flights() {
  for (Entry& entry : entries_) {
    const std::uint64_t forgotten = entry.in_flight.load(std::memory_order_relaxed) >> kForkShift;
    entry.in_flight.store((forgotten + 1) << kForkShift, std::memory_order_relaxed);
  }
}

std::uint64_t WatchTable::begin_flight(Entry& entry) {
  return entry.in_flight.fetch_add(1, std::memory_order_seq_cst) >> kForkShift;
}

void WatchTable::end_flight(Entry& entry, std::uint64_t flight) {
  std::uint64_t now = entry.in_flight.load(std::memory_order_relaxed);
  // The release pairs with the load in has_flights: the handler is done.
  while (now >> kForkShift == flight &&
         !entry.in_flight.compare_exchange_weak(now, now - 1, std::memory_order_release,
                                                std::memory_order_relaxed)) {
  }
}

bool WatchTable::has_flights(const Entry& entry) {
  return static_cast<std::uint32_t>(entry.in_flight.load(std::memory_order_seq_cst)) != 0;
}

bool WatchTable::deliver(const PerfTrap& trap, const SignalContext& registers) {
  const auto number = decode(trap.data);
  if (!number) return false;
  Entry& entry = entries_[number->place];
  const auto is_there = [&] {
    const std::uint32_t generation = entry.generation.load(std::memory_order_seq_cst);
    return generation % 2 == 1 && (generation & kGenerationMask) == number->generation;
  };
  // Looked at twice: who removes a watch does not wait for traps that come after its removal.
  if (!is_there()) return true;
  const int saved_errno = errno;
  const std::uint64_t flight = begin_flight(entry);
  if (is_there() && number->slot < entry.watch->plan.slots().size()) {
    unblock_faults();
    if (is_in_handler) {
      // It has put the old value back, or set another: the next hit finds that.
      remember_values(number->place);
    } else {
      is_in_handler = true;
      tell(entry, number->slot, trap, registers);
      is_in_handler = false;
    }
  }
  end_flight(entry, flight);
  errno = saved_errno;
  return true;
}

// Everything on the stack of the thread: see watchpoint_stack_bytes.
//
// noexcept: an exception of the handler would be unwound through the signal's frame into whatever
// code the thread was in, whose catch it was not meant for.
void WatchTable::tell(Entry& entry, std::size_t slot, const PerfTrap& trap,
                      const SignalContext& registers) noexcept {
  const WatchDescription& watch = *entry.watch;
  const SlotRequest& fired = watch.plan.slots()[slot];

  ObjectBytes old_bytes;
  ObjectBytes new_bytes;
  if (watch.request.access != Access::execute) {
    std::size_t index = 0;
    for (const SlotRequest& request : watch.plan.slots()) {
      const auto value = read_watched(request);
      old_bytes.append(entry.last_values[index++].exchange(value), request);
      new_bytes.append(value, request);
    }
  }

  std::array<std::uintptr_t, WatchpointOptions::kMostCallers> callers;
  const std::size_t count =
      fault::walk_frames(registers.stack(), std::span(callers).first(watch.callers));

  const auto pointer_to = [](RemoteAddress address) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the request names it by number.
    return reinterpret_cast<const void*>(static_cast<std::uintptr_t>(address.value()));
  };
  WatchpointHit hit;
  hit.address = pointer_to(watch.request.address);
  hit.length = size_of_own(watch.request.length);
  hit.part = pointer_to(fired.address);
  hit.part_length = size_of_own(fired.length);
  hit.access = watch.request.access;
  if (old_bytes.is_complete()) hit.old_bytes = old_bytes.all();
  if (new_bytes.is_complete()) hit.new_bytes = new_bytes.all();
  hit.trap_ip = registers.instruction_pointer();
  hit.callers = std::span(callers).first(count);
  hit.is_late = trap.is_late;
  hit.context = registers.raw();
  watch.handler(hit);
}

WatchTable& watch_table() {
  static constinit WatchTable table;
  return table;
}

std::expected<void, Error> take_traps() {
  static const int refused =
      ::pthread_atfork(nullptr, nullptr, [] { watch_table().forget_flights(); });
  if (refused != 0) return std::unexpected(Error{ErrorCode::limit_reached, refused});
  set_perf_trap_owner([](const PerfTrap& trap, const SignalContext& registers) {
    return watch_table().deliver(trap, registers);
  });
  return fault::install_fault_handler();
}

}  // namespace trapline::linux_port
