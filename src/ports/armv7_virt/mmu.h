// The translation table: one for all CPUs, addresses as they are physically, except in the window.
//
// Short descriptors (Arm ARM B3.5), memory write-back and shareable. Code is read-only, everything
// else cannot be executed, and what is not mapped faults. map_page and unmap_page may be called
// from any thread, one at a time for a page; they are seen by all CPUs when they return.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ports/armv7_virt/memory_map.h"

namespace trapline::armv7_virt {

enum class Permission : std::uint8_t {
  no_access,  // mapped: a permission fault, where an unmapped page is a translation fault
  read_only,  // for privileged code, as the others without "user"
  read_write,
  execute,         // and read
  user_read_only,  // for user and privileged code alike
  user_read_write,
};

// Addresses free for whoever wants pages with permissions of their own.
inline constexpr std::uintptr_t kWindow = 0x6000'0000;
inline constexpr std::size_t kWindowPages = 256;

// `page` is in the window or in the image, a multiple of the page size, as `physical` is.
void map_page(std::uintptr_t page, std::uintptr_t physical, Permission permission);
void unmap_page(std::uintptr_t page);

// Whether the address lies in the image's code. Any context.
[[nodiscard]] bool is_code(std::uintptr_t address);

}  // namespace trapline::armv7_virt
