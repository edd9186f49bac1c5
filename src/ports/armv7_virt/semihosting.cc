#include "ports/armv7_virt/semihosting.h"

#include <cstdint>

#include "isa/armv7/system_registers.h"
#include "ports/armv7_virt/psci.h"

namespace trapline::armv7_virt::semihosting {
namespace {

constexpr std::uint32_t kGetCommandLine = 0x15;
constexpr std::uint32_t kExitExtended = 0x20;
constexpr std::uint32_t kApplicationExit = 0x20026;

std::uint32_t call(std::uint32_t operation, const void* argument) {
  return isa::armv7::semihosting_call(operation, reinterpret_cast<std::uintptr_t>(argument));
}

}  // namespace

void exit(int status) {
  const std::uint32_t block[] = {kApplicationExit, static_cast<std::uint32_t>(status)};
  call(kExitExtended, block);
  psci::system_off();
}

std::string_view command_line(std::span<char> storage) {
  struct {
    char* text;
    std::uint32_t size;
  } block{storage.data(), static_cast<std::uint32_t>(storage.size())};
  if (call(kGetCommandLine, &block) != 0) return {};
  return {storage.data(), block.size};
}

}  // namespace trapline::armv7_virt::semihosting
