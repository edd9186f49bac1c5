#include "symbols/module_order.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gelf.h>
#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "symbols/module_path.h"

namespace trapline::symbols {
namespace {

constexpr std::size_t kMaxLinks = 65536;  // a list longer than this is damaged

// The little of a process's memory that is needed here.
class ProcessMemory {
 public:
  explicit ProcessMemory(ProcessId pid)
      : fd_(::open(fmt::format("/proc/{}/mem", pid.value).c_str(), O_RDONLY | O_CLOEXEC)) {}
  ProcessMemory(const ProcessMemory&) = delete;
  ProcessMemory& operator=(const ProcessMemory&) = delete;
  ~ProcessMemory() {
    if (fd_ >= 0) ::close(fd_);
  }

  template <typename T>
  [[nodiscard]] std::optional<T> read(std::uint64_t address) const {
    T value;
    const ssize_t count = ::pread(fd_, &value, sizeof value, static_cast<off_t>(address));
    if (count != static_cast<ssize_t>(sizeof value)) return std::nullopt;
    return value;
  }

 private:
  int fd_;
};

void drop_deleted(std::string& path) {
  path.resize(without_deleted(path).size());
}

std::vector<ModuleView> list_modules(const ProcessImage& image) {
  std::vector<ModuleView> views;
  dwfl_getmodules(
      image.dwfl(),
      [](Dwfl_Module* module, void**, const char* name, Dwarf_Addr start, void* list) -> int {
        static_cast<std::vector<ModuleView>*>(list)->push_back(
            {module, name, RemoteAddress(start)});
        return DWARF_CB_OK;
      },
      &views, 0);
  for (ModuleView& view : views) drop_deleted(view.path);
  return views;
}

// DT_DEBUG of the program: where its dynamic linker keeps r_debug. nullopt for a static program.
std::optional<std::uint64_t> debug_pointer(const ModuleView& program, const ProcessMemory& memory) {
  GElf_Addr bias = 0;
  Elf* const elf = dwfl_module_getelf(program.module, &bias);
  std::size_t segments = 0;
  // Of this machine's own word size only: link.h describes no other.
  if (elf == nullptr || gelf_getclass(elf) != (sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32) ||
      elf_getphdrnum(elf, &segments) != 0) {
    return std::nullopt;
  }
  for (std::size_t index = 0; index < segments; ++index) {
    GElf_Phdr segment;
    if (gelf_getphdr(elf, static_cast<int>(index), &segment) == nullptr ||
        segment.p_type != PT_DYNAMIC)
      continue;
    for (std::uint64_t offset = 0; offset < segment.p_memsz; offset += sizeof(ElfW(Dyn))) {
      const auto entry = memory.read<ElfW(Dyn)>(segment.p_vaddr + bias + offset);
      if (!entry || entry->d_tag == DT_NULL) break;
      if (entry->d_tag == DT_DEBUG && entry->d_un.d_ptr != 0) return entry->d_un.d_ptr;
    }
  }
  return std::nullopt;
}

std::vector<Dwfl_Module*> linked_modules(const ProcessImage& image, std::uint64_t debug,
                                         const ProcessMemory& memory) {
  std::vector<Dwfl_Module*> modules;
  const auto head = memory.read<r_debug>(debug);
  auto link = head ? reinterpret_cast<std::uintptr_t>(head->r_map) : 0;
  while (link != 0 && modules.size() < kMaxLinks) {
    const auto entry = memory.read<link_map>(link);
    if (!entry) break;
    modules.push_back(
        image.dwfl_module_at(RemoteAddress(reinterpret_cast<std::uintptr_t>(entry->l_ld))));
    link = reinterpret_cast<std::uintptr_t>(entry->l_next);
  }
  return modules;
}

}  // namespace

std::vector<ModuleView> modules_in_lookup_order(const ProcessImage& image) {
  std::vector<ModuleView> views = list_modules(image);
  std::error_code error;
  auto program =
      std::filesystem::read_symlink(fmt::format("/proc/{}/exe", image.pid().value), error).string();
  drop_deleted(program);
  const auto front = std::ranges::find(views, program, &ModuleView::path);
  if (front == views.end()) return views;
  std::rotate(views.begin(), front, std::next(front));

  const ProcessMemory memory(image.pid());
  if (const auto debug = debug_pointer(views.front(), memory)) {
    const auto order = linked_modules(image, *debug, memory);
    std::ranges::sort(std::span(views).subspan(1), {}, [&](const ModuleView& view) {
      return std::pair(std::ranges::find(order, view.module) - order.begin(), view.start);
    });
  }
  return views;
}

}  // namespace trapline::symbols
