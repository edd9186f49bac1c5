// Which instruction made the access, and what it wrote.
//
// x86 reports a data breakpoint after the instruction (SDM vol. 3B, 17.2.4 and 17.3.1.2: a trap),
// so the saved IP is the next one. The culprit is found by decoding forward from the function's
// start to the instruction that ends at the trap, and its memory operand is checked against the
// watched bytes. Where the trap comes first (Arm) the saved IP is the culprit itself. Unknown is
// said, never guessed. One thread. What was decoded is cached by trap address, bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "trapline/base/access.h"
#include "trapline/base/address.h"
#include "trapline/port/memory_reader.h"
#include "trapline/port/user_registers.h"

namespace trapline::decode {

// The function in which the trap was reported, [start, end).
struct CodeRange {
  RemoteAddress start;
  RemoteAddress end;
};

// The function that contains an address, or nothing.
using FunctionLookup = std::function<std::optional<CodeRange>(RemoteAddress)>;

struct WatchedRange {
  RemoteAddress address;
  ByteCount length;
  Access access = Access::write;
};

// What one instruction reads or writes at once.
struct AccessedBytes {
  RemoteAddress address;
  ByteCount length;

  friend constexpr bool operator==(const AccessedBytes&, const AccessedBytes&) = default;
};

struct Culprit {
  RemoteAddress ip;
  std::string text;  // Intel syntax, as "mov dword ptr [rip + 0x2ef2], eax"
  // Its operand was computed from the registers and touches the watched bytes. Otherwise the
  // instruction is the only one that can have trapped here and accesses memory, but its address can
  // no longer be computed.
  bool operand_checked = false;
  // What it does to the watched bytes; of a checked operand only.
  std::optional<Access> access;
  // That operand; nullopt if it was not checked, if two of them touch the watched bytes, or if it
  // is not all that was accessed (a string instruction that repeats).
  std::optional<AccessedBytes> accessed;
};

// Up to 8 bytes, the one at the lowest address lowest.
struct StoredValue {
  std::uint64_t bits = 0;
  bool depends_on_old = false;  // as trustworthy as `old` was

  friend constexpr bool operator==(const StoredValue&, const StoredValue&) = default;
};

class CulpritFinder {
 public:
  // `code` reads the target's instructions; borrowed, must outlive the finder.
  explicit CulpritFinder(MemoryReader& code);
  CulpritFinder(const CulpritFinder&) = delete;
  CulpritFinder& operator=(const CulpritFinder&) = delete;
  ~CulpritFinder();

  // nullptr if unknown: no function bounds, undecodable bytes, no instruction that ends at the
  // trap, or one that cannot have touched the watched bytes or cannot have led here (a jump, a
  // return). `function` bounds the decoding; it is called only on a cache miss.
  //   - a trap at a function's first instruction is a call's push in the caller: found from the
  //   return address at [sp], and checked only if the call names this function itself;
  //   - a rep string instruction that has not finished traps at itself.
  // 50 ns for an address seen before.
  // The pointer stays valid until the next call.
  [[nodiscard]] const Culprit* find(RemoteAddress trap_ip, const UserRegisters& registers,
                                    const WatchedRange& watched, const FunctionLookup& function);

  // The bytes of [value_at, value_at + length) after the culprit of the last find() ran, if the
  // instruction, the registers at the trap and the bytes before it (`old`, if known) tell: a store
  // of a register or an immediate, laid over `old` where it covers only a part; or arithmetic on
  // the bytes themselves (add, sub, inc, dec, and, or, xor, not, neg, and a compare and swap where
  // its trap comes first) inside that range. An instruction that only reads leaves `old`. nullopt
  // for everything else, and if the operand was not checked.
  [[nodiscard]] std::optional<StoredValue> stored_value(const UserRegisters& registers,
                                                        RemoteAddress value_at, ByteCount length,
                                                        std::optional<std::uint64_t> old) const;

  // Forgets what was decoded: the code at an address may have changed (a library was loaded in
  // another's place).
  void clear();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace trapline::decode
