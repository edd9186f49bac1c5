#include "ports/armv7_virt/mmu.h"

#include "isa/armv7/system_registers.h"
#include "ports/armv7_virt/stacks.h"

extern "C" {
// link.ld.
extern char image_start[];
extern char rodata_start[];
extern char data_start[];
extern char image_end[];

// 16 KiB: one entry for each MiB.
alignas(16384) std::uint32_t trapline_first_level[4096];
void trapline_build_tables();
}

namespace trapline::armv7_virt {
namespace {

constexpr std::size_t kMebibyte = 1U << 20;
constexpr std::size_t kPagesPerTable = kMebibyte / kPageSize;

// One page table for the window, the rest for the image: link.ld sees to it that they are enough.
struct alignas(1024) PageTable {
  std::uint32_t entries[kPagesPerTable];
};
constexpr std::size_t kPageTables = 17;
PageTable page_tables[kPageTables];
std::size_t page_tables_used = 0;

// First level.
constexpr std::uint32_t kTable = 0b01;
constexpr std::uint32_t kSection = 0b10;
constexpr std::uint32_t kSectionNoExecute = 1U << 4;
constexpr std::uint32_t kSectionDevice = 1U << 2;                                  // B
constexpr std::uint32_t kSectionNormal = 1U << 12 | 1U << 3 | 1U << 2 | 1U << 16;  // TEX, C, B, S
constexpr std::uint32_t kSectionReadWrite = 0b01U << 10;                           // AP
// Second level: a small page.
constexpr std::uint32_t kPage = 0b10;
constexpr std::uint32_t kPageNoExecute = 1U << 0;
constexpr std::uint32_t kPageNormal = 1U << 6 | 1U << 3 | 1U << 2 | 1U << 10;  // TEX, C, B, S
constexpr std::uint32_t kPageAccess = 0b01U << 4;                              // AP[1:0]
constexpr std::uint32_t kPageUser = 0b10U << 4;
constexpr std::uint32_t kPageReadOnly = 1U << 9;  // AP[2]

constexpr std::uint32_t page_bits(Permission permission) {
  constexpr std::uint32_t kBase = kPage | kPageNormal;
  switch (permission) {
    case Permission::no_access:
      return kBase | kPageNoExecute;
    case Permission::read_only:
      return kBase | kPageNoExecute | kPageAccess | kPageReadOnly;
    case Permission::read_write:
      return kBase | kPageNoExecute | kPageAccess;
    case Permission::execute:
      return kBase | kPageAccess | kPageReadOnly;
    case Permission::user_read_only:
      return kBase | kPageNoExecute | kPageAccess | kPageUser | kPageReadOnly;
    case Permission::user_read_write:
      return kBase | kPageNoExecute | kPageAccess | kPageUser;
  }
  return 0;
}

std::uintptr_t address_of(const char* symbol) {
  return reinterpret_cast<std::uintptr_t>(symbol);
}

void add_page_table(std::uintptr_t address) {
  const auto table = reinterpret_cast<std::uintptr_t>(&page_tables[page_tables_used++]);
  trapline_first_level[address / kMebibyte] = table | kTable;
}

std::uint32_t& entry_of(std::uintptr_t page) {
  constexpr std::uint32_t kTableAddress = ~std::uint32_t{0x3ff};
  auto* const table =
      reinterpret_cast<PageTable*>(trapline_first_level[page / kMebibyte] & kTableAddress);
  return table->entries[page % kMebibyte / kPageSize];
}

// An entry as the walkers of all CPUs see it, without what they remember of the one before.
void publish(std::uintptr_t page) {
  isa::armv7::dsb_ish();
  isa::armv7::write_tlbimvaais(page);
  isa::armv7::dsb_ish();
  isa::armv7::isb();
}

void map_sections(std::uintptr_t begin, std::uintptr_t end, std::uint32_t bits) {
  for (std::uintptr_t at = begin; at < end; at += kMebibyte)
    trapline_first_level[at / kMebibyte] =
        at | kSection | kSectionNoExecute | kSectionReadWrite | bits;
}

Permission image_permission(std::uintptr_t page) {
  if (page < address_of(rodata_start)) return Permission::execute;
  return page < address_of(data_start) ? Permission::read_only : Permission::read_write;
}

template <typename Stack>
void guard(const Stack& stack) {
  const auto begin = reinterpret_cast<std::uintptr_t>(stack.guard.data());
  for (std::uintptr_t page = begin; page < begin + stack.guard.size(); page += kPageSize)
    entry_of(page) = page_bits(Permission::no_access);
}

}  // namespace

void map_page(std::uintptr_t page, std::uintptr_t physical, Permission permission) {
  entry_of(page) = physical | page_bits(permission);
  publish(page);
}

void unmap_page(std::uintptr_t page) {
  entry_of(page) = 0;
  publish(page);
}

bool is_code(std::uintptr_t address) {
  return address >= address_of(image_start) && address < address_of(rodata_start);
}

}  // namespace trapline::armv7_virt

// On CPU 0, before the MMU is on: nothing here is seen by a cache.
void trapline_build_tables() {
  using namespace trapline::armv7_virt;
  map_sections(kGicDistributor, kGicDistributor + kMebibyte, kSectionDevice);
  map_sections(kUart, kUart + kMebibyte, kSectionDevice);
  map_sections(kRam, kRam + kRamSize, kSectionNormal);
  for (std::uintptr_t at = address_of(image_start); at < address_of(image_end); at += kMebibyte) {
    add_page_table(at);
    for (std::uintptr_t page = at; page < at + kMebibyte; page += kPageSize)
      entry_of(page) = page | page_bits(image_permission(page));
  }
  for (const CpuStacks& cpu : trapline_stacks) {
    guard(cpu.task);
    guard(cpu.hotplug);
    guard(cpu.undefined);
    guard(cpu.abort);
    guard(cpu.emergency);
  }
  add_page_table(kWindow);
}
