#include <dlfcn.h>
#include <sys/auxv.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "ports/linux/fault/fault_signals.h"
#include "ports/linux/fault/module_registry.h"
#include "ports/linux/fault/perf_trap.h"
#include "ports/linux/fault/signal_chain.h"
#include "ports/linux/fault/signal_context.h"
#include "trapline/linux/guarded_access.h"

// Weak: a static program has no loader to ask, and asking would draw one in.
#pragma weak dlopen
#pragma weak dladdr

namespace trapline::fault {
namespace {

using linux_port::kFaultSignals;

// Every time a signal is taken (back), that is a handler of its own, which knows who was there
// before it. Whoever took the signal in between may hand on to the one before, so that one stays as
// it is: with a single "previous" the two would call each other for ever.
constexpr std::size_t kLayers = 8;

using Handler = void (*)(int, siginfo_t*, void*);

// Who was there before one layer took one signal. Only replaced, never changed, once a handler may
// look.
struct Previous {
  struct sigaction action{};
  std::atomic<const struct sigaction*> current{nullptr};
};

constexpr struct sigaction kDefaultAction{};  // SIG_DFL is 0

// Guards the taking of signals against each other; handlers do not take it.
constinit std::mutex installing;
constinit std::array<std::array<Previous, kFaultSignals.size()>, kLayers> previous_of{};
// Layers in use, by signal.
constinit std::array<std::size_t, kFaultSignals.size()> layers_of{};

constexpr std::size_t index_of(int signal) {
  std::size_t index = 0;
  while (index + 1 < kFaultSignals.size() && kFaultSignals[index] != signal) ++index;
  return index;
}

// The action that is to be taken now. A handler with SA_RESETHAND is used up by the thread that
// gets it.
struct sigaction claim(Previous& previous) {
  const struct sigaction* action = previous.current.load(std::memory_order_acquire);
  while (
      (action->sa_flags & static_cast<int>(SA_RESETHAND)) != 0 &&
      !previous.current.compare_exchange_weak(action, &kDefaultAction, std::memory_order_acq_rel)) {
  }
  return *action;
}

void hand_on(Previous& previous, int signal, siginfo_t* info, ucontext_t* context) {
  const struct sigaction action = claim(previous);
  switch (linux_port::fate_of(action, linux_port::is_synchronous(signal, *info))) {
    case linux_port::Fate::handle:
      linux_port::call_handler(action, signal, info, context);
      break;
    case linux_port::Fate::ignore:
      break;
    case linux_port::Fate::end:
      linux_port::end_by_signal(signal, info);
      break;
  }
}

// No lock, no allocation, no thread-local data but errno, which is the caller's.
template <std::size_t kLayer>
void on_signal(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  if (!handle_guarded_fault(signal, info, context)) {
    hand_on(previous_of[kLayer][index_of(signal)], signal, info, static_cast<ucontext_t*>(context));
  }
  errno = saved_errno;
}

template <std::size_t... kLayer>
constexpr std::array<Handler, sizeof...(kLayer)> handlers(std::index_sequence<kLayer...>) {
  return {on_signal<kLayer>...};
}
constexpr std::array<Handler, kLayers> kHandlers = handlers(std::make_index_sequence<kLayers>());

bool is_ours(const struct sigaction& action) {
  if ((action.sa_flags & SA_SIGINFO) == 0) return false;
  for (const Handler handler : kHandlers) {
    if (action.sa_sigaction == handler) return true;
  }
  return false;
}

std::unexpected<Error> os_failure() {
  return std::unexpected(Error{ErrorCode::os_failure, errno});
}

std::expected<void, Error> take_signal(std::size_t index) {
  const int signal = kFaultSignals[index];
  struct sigaction now{};
  if (::sigaction(signal, nullptr, &now) != 0) return os_failure();
  if (is_ours(now)) return {};
  const std::size_t layer = layers_of[index];
  if (layer == kLayers) return std::unexpected(Error{ErrorCode::limit_reached});

  Previous& previous = previous_of[layer][index];
  previous.action = now;
  previous.current.store(&previous.action, std::memory_order_release);
  struct sigaction ours{};
  ours.sa_sigaction = kHandlers[layer];
  ours.sa_flags = linux_port::flags_in_front_of(now);
  ::sigemptyset(&ours.sa_mask);
  if (::sigaction(signal, &ours, nullptr) != 0) return os_failure();
  ++layers_of[index];
  return {};
}

// The signals point to code of this module from now on: if it is a shared object, it stays.
void pin_own_module() {
  if (dlopen == nullptr || dladdr == nullptr) return;
  Dl_info self{};
  if (dladdr(reinterpret_cast<const void*>(&pin_own_module), &self) == 0) return;
  // Fails for the program itself, which stays anyway.
  (void)dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

}  // namespace

bool handle_guarded_fault(int signal, const void* info, void* context) {
  const auto& details = *static_cast<const siginfo_t*>(info);
  linux_port::SignalContext registers(signal, *static_cast<ucontext_t*>(context));
  if (const auto trap = linux_port::perf_trap_of(signal, details)) {
    return linux_port::claim_perf_trap(*trap, registers);
  }
  const auto event = linux_port::classify_fault(signal, details, registers);
  if (!event) return false;
  const ExceptionEntry* const entry =
      linux_port::module_registry().find_entry(registers.faulting_instruction());
  return entry != nullptr && apply_fixup(*entry, registers, *event);
}

std::expected<void, Error> install_fault_handler() {
  const std::lock_guard lock(installing);
  static constinit bool is_first = true;
  if (std::exchange(is_first, false)) {
    pin_own_module();
    // Runs before destructors of modules do (atexit(3)).
    if (std::atexit(linux_port::keep_modules_registered) != 0) {
      return std::unexpected(Error{ErrorCode::limit_reached});
    }
  }
  for (std::size_t index = 0; index < kFaultSignals.size(); ++index) {
    if (const auto taken = take_signal(index); !taken) return taken;
  }
  return {};
}

std::size_t fault_stack_bytes() {
  // Several times what the handler uses; a sanitizer build without optimisation takes half of it
  // (fault_handler_test).
  constexpr std::size_t kOurs = 8192;
  // Kernels before 5.14 on x86 do not say; then the constant was right.
  const std::size_t frame = ::getauxval(AT_MINSIGSTKSZ);
  return kOurs + (frame != 0 ? frame : 2048);
}

}  // namespace trapline::fault
