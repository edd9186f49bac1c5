#include "tools/trapline/watch/module_presence.h"

#include <algorithm>

namespace trapline::command {
namespace {

using linux_port::Mapping;

const Mapping* find_mapping(std::span<const Mapping> mappings, RemoteAddress address) {
  const auto found = std::ranges::find_if(
      mappings, [&](const Mapping& mapping) { return mapping.contains(address); });
  return found == mappings.end() ? nullptr : &*found;
}

}  // namespace

ModulePresence::ModulePresence(std::span<const Mapping> mappings, RemoteAddress module_start,
                               RemoteAddress address)
    : module_start_(module_start),
      address_(address),
      position_(file_position(mappings, module_start)) {}

bool ModulePresence::holds_in(std::span<const Mapping> mappings) const {
  if (find_mapping(mappings, address_) == nullptr) return false;
  return !position_ || file_position(mappings, module_start_) == position_;
}

std::optional<ModulePresence::FilePosition> ModulePresence::file_position(
    std::span<const Mapping> mappings, RemoteAddress address) {
  const Mapping* const mapping = find_mapping(mappings, address);
  if (mapping == nullptr || mapping->inode == 0) return std::nullopt;
  return FilePosition{mapping->inode, mapping->file_offset + (address - mapping->start).value};
}

}  // namespace trapline::command
