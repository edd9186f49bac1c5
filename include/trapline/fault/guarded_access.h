// Accesses to memory that may not be there: a result instead of a crash.
//
// Each is the bare instruction with an entry in the exception table: nothing is set up before it,
// and a success costs what a plain access costs. A bad pointer of any kind (null, unmapped,
// read-only, outside the address space, past the end of a truncated file) is a result. Who handles
// the fault: Linux: trapline/linux/guarded_access.h, which is what programs there include. Bare
// metal: the port's abort handlers, by fixup_exception.
//
// Freestanding. Any context in which that handler may run: threads; signal handlers unless the
// signal is blocked; abort handlers that may nest. Not inside a restartable sequence (rseq): the
// kernel reports its faults elsewhere.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <type_traits>

#include "trapline/fault/exception_table.h"
#include "trapline/isa/guarded_instructions.h"

namespace trapline::fault {

// Why an access was not done.
struct AccessError {
  enum class Stage : std::uint8_t {
    rejected,  // before any memory was touched: an atomic access that is misaligned, a range that
               // passes the end of the address space (not_an_address)
    faulted,
  };
  Stage stage = Stage::faulted;
  FaultKind kind = FaultKind::none;
  // The first byte that could not be accessed, as far as the CPU tells; else the first byte asked
  // for.
  std::uintptr_t address = 0;

  friend constexpr bool operator==(const AccessError&, const AccessError&) = default;
};

template <typename T>
using AccessResult = std::expected<T, AccessError>;

// What one instruction can load or store. Any bytes may come back: a bool or an enum that does not
// allow all of them is better loaded as an integer.
template <typename T>
concept GuardedValue = std::is_trivially_copyable_v<T> && !std::is_const_v<T> &&
                       (sizeof(T) == 1 || sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8);

// Of any alignment, where the CPU can do that (x86, arm64, Armv7 up to 4 bytes; 8 need 4 there).
template <GuardedValue T>
[[nodiscard]] AccessResult<T> try_load(const volatile T* from);
template <GuardedValue T>
[[nodiscard]] AccessResult<void> try_store(volatile T* to, std::type_identity_t<T> value);

// Atomic and sequentially consistent, as std::atomic's. `to` has to be aligned to the size of T.
template <GuardedValue T>
[[nodiscard]] AccessResult<T> try_exchange(volatile T* to, std::type_identity_t<T> value);
// true: it was `expected` and is `desired` now. false: it was not, and `expected` is what it was.
template <GuardedValue T>
[[nodiscard]] AccessResult<bool> try_compare_exchange(volatile T* to,
                                                      std::type_identity_t<T>& expected,
                                                      std::type_identity_t<T> desired);

enum class CopySide : std::uint8_t { neither, source, destination };

struct CopyResult {
  std::size_t copied = 0;  // exactly so many bytes at `to` have been written, and no other
  CopySide side = CopySide::neither;  // which one could not be accessed; neither: all was copied
  AccessError error{};                // of that side

  [[nodiscard]] constexpr bool is_complete() const { return side == CopySide::neither; }
};

// As memcpy: the ranges may not overlap.
[[nodiscard]] CopyResult try_copy(void* to, const void* from, std::size_t count);

struct FillResult {
  std::size_t filled = 0;  // exactly so many bytes have been written, and no other
  AccessError error{};     // kind none: all of them

  [[nodiscard]] constexpr bool is_complete() const { return error.kind == FaultKind::none; }
};

// As memset.
[[nodiscard]] FillResult try_fill(void* to, std::uint8_t value, std::size_t count);

// As strnlen: the number of bytes before the first zero, `limit` if there is none among so many. An
// error if that cannot be told; its address is where the readable bytes end.
[[nodiscard]] AccessResult<std::size_t> try_strnlen(const char* text, std::size_t limit);

// TRAPLINE_TRY_EXECUTE("instruction", "clobber"...): executes an instruction that may be undefined,
// not permitted or a breakpoint, and gives AccessResult<void>. In the instruction, % is written %%;
// it has no operands, and the flags may change. For operands see TRAPLINE_GUARDED.
#define TRAPLINE_TRY_EXECUTE(instruction, ...)                                              \
  ([]() -> ::trapline::fault::AccessResult<void> {                                          \
    TRAPLINE_FAULT_WORD(word);                                                              \
    __asm__ volatile(                                                                       \
        TRAPLINE_GUARDED(instruction, TRAPLINE_GUARD_INSTRUCTION | TRAPLINE_GUARD_EXECUTE | \
                                          TRAPLINE_GUARD_FAULT_WORD)                        \
        : "+r"(word)                                                                        \
        :                                                                                   \
        : "memory", "cc" __VA_OPT__(, ) __VA_ARGS__);                                       \
    return ::trapline::fault::detail::executed(word);                                       \
  }())

}  // namespace trapline::fault

#include "trapline/fault/detail/guarded_access_inline.h"
