#include "report/object_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/value_bytes.h"

namespace trapline::report {
namespace {

using symbols::ValuePart;
using symbols::ValueType;

struct Bits {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

bool contains(const ValuePart& part, const Bits& wanted) {
  const std::uint64_t begin = part.offset.value * kBitsPerByte;
  const symbols::BitRange own =
      part.type.bits.value_or(symbols::BitRange{0, part.type.length.value * kBitsPerByte});
  return begin + own.first <= wanted.begin && wanted.end <= begin + own.first + own.count;
}

// Where the bytes lie, from the start of `part`'s parts; nullopt if they lie in no single one.
struct Step {
  const ValuePart* part = nullptr;
  std::uint64_t index = 0;  // of an element
  std::uint64_t offset = 0;
};

std::optional<Step> step_into_array(const ValueType& array, const Bits& wanted) {
  const ValuePart& element = array.parts.front();
  const std::uint64_t size = element.type.length.value * kBitsPerByte;
  if (size == 0) return std::nullopt;
  const std::uint64_t index = wanted.begin / size;
  if (index >= array.element_count || wanted.end > (index + 1) * size) return std::nullopt;
  return Step{&element, index, index * element.type.length.value};
}

std::optional<Step> step_into_members(const ValueType& aggregate, const Bits& wanted) {
  std::optional<Step> found;
  for (const ValuePart& part : aggregate.parts) {
    if (!contains(part, wanted)) continue;
    if (found) return std::nullopt;
    found = Step{&part, 0, part.offset.value};
  }
  return found;
}

}  // namespace

ObjectPart find_part(const ValueType& object, ByteCount offset, ByteCount length) {
  ObjectPart found{{}, {}, &object};
  Bits wanted{offset.value * kBitsPerByte, (offset.value + length.value) * kBitsPerByte};
  while (!found.type->parts.empty()) {
    const bool is_array = found.type->element_count > 0;
    const auto step =
        is_array ? step_into_array(*found.type, wanted) : step_into_members(*found.type, wanted);
    if (!step) break;
    if (is_array) {
      found.path += fmt::format("[{}]", step->index);
    } else if (!step->part->name.empty()) {
      found.path += "." + step->part->name;
    }
    found.offset.value += step->offset;
    found.type = &step->part->type;
    wanted.begin -= step->offset * kBitsPerByte;
    wanted.end -= step->offset * kBitsPerByte;
  }
  return found;
}

std::string name_part(std::string_view object, std::string_view path) {
  if (path.empty()) return {};
  const std::size_t begin = object.find_first_not_of(" \t");
  if (begin == std::string_view::npos || object[begin] != '*')
    return std::string(object).append(path);
  if (path.front() != '.') return fmt::format("({}){}", object, path);
  std::string_view pointer = object.substr(begin + 1);
  pointer.remove_prefix(std::min(pointer.find_first_not_of(" \t"), pointer.size()));
  const bool is_dereferenced = pointer.starts_with('*');
  return is_dereferenced ? fmt::format("({})->{}", pointer, path.substr(1))
                         : fmt::format("{}->{}", pointer, path.substr(1));
}

}  // namespace trapline::report
