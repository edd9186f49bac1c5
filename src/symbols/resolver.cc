#include "symbols/resolver.h"

#include <fmt/format.h>

#include <bit>
#include <utility>

#include "symbols/access_path.h"
#include "symbols/module_path.h"
#include "symbols/name_lookup.h"

namespace trapline::symbols {
namespace {

Result<ResolvedObject> resolve_address(const ExplicitAddress& wanted, MemoryReader& memory) {
  ResolvedObject object;
  object.address = wanted.address;
  object.length = wanted.length.value_or(kDefaultLength);
  object.type.length = object.length;
  const bool is_number =
      object.length.value <= kDefaultLength.value && std::has_single_bit(object.length.value);
  if (is_number) object.type.kind = ValueKind::unsigned_integer;
  const RemoteAddress last = wanted.address + ByteCount{object.length.value - 1};
  // A range that wraps is the plan's to refuse.
  for (const RemoteAddress end : {wanted.address, last < wanted.address ? wanted.address : last}) {
    if (!memory.read_object<std::byte>(end)) {
      return fail(ErrorCode::unreadable_memory,
                  fmt::format("this process has no memory at {:#x}: see /proc/PID/maps for what it "
                              "has",
                              end.value()));
    }
  }
  return object;
}

// Debug registers see bytes.
std::string bit_field_note(ByteCount length) {
  return fmt::format(
      "a bit-field: whoever writes its neighbours in the same {} is reported too; --when changed "
      "leaves them out",
      length.value == 1 ? std::string("byte") : fmt::format("{} bytes", length.value));
}

// A length without a type, from the symbol table.
Result<ResolvedObject> resolve_untyped(const Definition& definition, const NamedObject& object,
                                       ResolvedObject resolved) {
  if (!object.steps.empty()) {
    return fail(
        ErrorCode::bad_type,
        fmt::format("{} has no debug information, so what {} is made of is unknown; "
                    "install it, or watch *{:#x}:LENGTH",
                    basename_of(definition.module_path), object.name, definition.address.value()));
  }
  resolved.length = definition.size;
  resolved.type.length = definition.size;
  resolved.notes.push_back(fmt::format(
      "{} has no debug information for {}: its type is unknown, its size is the symbol's",
      basename_of(definition.module_path), object.name));
  return resolved;
}

Result<ResolvedObject> resolve_definition(ProcessImage& image, MemoryReader& memory,
                                          const Definition& definition, const NamedObject& object) {
  ResolvedObject resolved;
  resolved.module = definition.module_path;
  resolved.module_start = definition.module_start;
  resolved.address = definition.address;
  resolved.notes = definition.notes;
  if (!definition.type) return resolve_untyped(definition, object, std::move(resolved));
  AccessPath path(image, memory, definition.address, *definition.type, object.name);
  for (const AccessStep& step : object.steps) {
    if (auto taken = path.take(step); !taken) return std::unexpected(std::move(taken.error()));
  }
  if (auto finished = path.finish(); !finished) return std::unexpected(std::move(finished.error()));
  resolved.address = path.address();
  resolved.type = path.value_type();
  // A declaration ("extern int table[];") does not tell the size, the symbol does.
  if (resolved.type.length.value == 0 && object.steps.empty())
    resolved.type.length = definition.size;
  resolved.length = resolved.type.length;
  if (path.bit_field()) resolved.notes.push_back(bit_field_note(resolved.length));
  resolved.followed_pointer = path.followed_pointer();
  if (resolved.followed_pointer) {
    // Heap memory belongs to no module; it does not go when a library does.
    resolved.module.clear();
    resolved.module_start = {};
  }
  return resolved;
}

}  // namespace

Result<ResolvedObject> resolve_object(ProcessImage& image, MemoryReader& memory,
                                      const Expression& expression) {
  if (const auto* address = std::get_if<ExplicitAddress>(&expression))
    return resolve_address(*address, memory);
  const auto& object = std::get<NamedObject>(expression);
  const auto definition = find_variable(image, object);
  if (definition) return resolve_definition(image, memory, *definition, object);
  if (definition.error().error.code == ErrorCode::unknown_name && find_function(image, object)) {
    return fail(ErrorCode::bad_type,
                fmt::format("{} is a function: add -t x to see its calls", object.name));
  }
  return std::unexpected(definition.error());
}

Result<ResolvedFunction> resolve_function(ProcessImage& image, const Expression& expression) {
  ResolvedFunction function;
  if (const auto* address = std::get_if<ExplicitAddress>(&expression)) {
    function.entry = address->address;
    function.name = fmt::format("{:#x}", address->address.value());
    return function;
  }
  const auto& object = std::get<NamedObject>(expression);
  if (!object.steps.empty()) {
    return fail(ErrorCode::bad_type,
                "-t x wants the name of a function, without members or indices");
  }
  auto definition = find_function(image, object);
  if (!definition) {
    if (definition.error().error.code == ErrorCode::unknown_name && find_variable(image, object)) {
      return fail(ErrorCode::bad_type,
                  fmt::format("{} is a variable, and -t x is for functions: use -t w, r or rw",
                              object.name));
    }
    return std::unexpected(std::move(definition.error()));
  }
  function.entry = definition->address;
  function.name = definition->name;
  function.module = definition->module_path;
  function.module_start = definition->module_start;
  function.inlined_copies = definition->inlined_copies;
  function.notes = std::move(definition->notes);
  return function;
}

}  // namespace trapline::symbols
