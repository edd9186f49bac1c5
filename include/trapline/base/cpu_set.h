// A set of CPUs, and the kernel's text form of one ("0-3,8").
//
// A value type of fixed size, no allocation. Freestanding; usable in any context.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string_view>

#include "trapline/base/error.h"
#include "trapline/base/units.h"

namespace trapline {

// The largest CONFIG_NR_CPUS that Linux allows on the architectures Trapline knows
// (arch/x86/Kconfig: 8192).
inline constexpr std::uint32_t kMaxCpus = 8192;

class CpuSet {
 public:
  // Ids at or above kMaxCpus are ignored by insert and never contained.
  constexpr void insert(CpuId cpu);
  constexpr void insert(const CpuSet& others);
  constexpr void erase(CpuId cpu);
  [[nodiscard]] constexpr bool contains(CpuId cpu) const;
  [[nodiscard]] constexpr std::uint32_t count() const;
  [[nodiscard]] constexpr bool empty() const { return count() == 0; }

  // Calls visit(CpuId) for each member in ascending order.
  template <typename Visitor>
  constexpr void for_each(Visitor visit) const;

  friend constexpr bool operator==(const CpuSet&, const CpuSet&) = default;

 private:
  static constexpr std::size_t kWordBits = 64;
  std::array<std::uint64_t, kMaxCpus / kWordBits> words_{};
};

// Reads the list format of /sys/devices/system/cpu/{online,present,possible}: "0-3,8\n", or "" or
// "\n" for none (Documentation/admin-guide/cputopology.rst). bad_syntax for anything else, for a
// descending range and for an id
// >= kMaxCpus.
[[nodiscard]] std::expected<CpuSet, Error> parse_cpu_list(std::string_view text);

constexpr void CpuSet::insert(CpuId cpu) {
  if (cpu.value < kMaxCpus)
    words_[cpu.value / kWordBits] |= std::uint64_t{1} << (cpu.value % kWordBits);
}

constexpr void CpuSet::insert(const CpuSet& others) {
  for (std::size_t index = 0; index < words_.size(); ++index) words_[index] |= others.words_[index];
}

constexpr void CpuSet::erase(CpuId cpu) {
  if (cpu.value < kMaxCpus)
    words_[cpu.value / kWordBits] &= ~(std::uint64_t{1} << (cpu.value % kWordBits));
}

constexpr bool CpuSet::contains(CpuId cpu) const {
  return cpu.value < kMaxCpus &&
         (words_[cpu.value / kWordBits] >> (cpu.value % kWordBits) & 1) != 0;
}

constexpr std::uint32_t CpuSet::count() const {
  std::uint32_t total = 0;
  for (const std::uint64_t word : words_) total += static_cast<std::uint32_t>(std::popcount(word));
  return total;
}

template <typename Visitor>
constexpr void CpuSet::for_each(Visitor visit) const {
  for (std::size_t index = 0; index < words_.size(); ++index) {
    for (std::uint64_t rest = words_[index]; rest != 0; rest &= rest - 1) {
      visit(CpuId{static_cast<std::uint32_t>(index * kWordBits) +
                  static_cast<std::uint32_t>(std::countr_zero(rest))});
    }
  }
}

}  // namespace trapline
