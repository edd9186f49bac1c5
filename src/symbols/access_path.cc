#include "symbols/access_path.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "symbols/dwarf_values.h"
#include "symbols/name_lookup.h"

namespace trapline::symbols {
namespace {

constexpr int kMaxReferences = 8;  // C++ has no reference to a reference
constexpr ByteCount kLongestValue{8};

}  // namespace

AccessPath::AccessPath(ProcessImage& image, MemoryReader& memory, RemoteAddress address,
                       DwarfType type, std::string text)
    : image_(image), memory_(memory), address_(address), type_(type), text_(std::move(text)) {}

Result<void> AccessPath::take(const AccessStep& step) {
  if (auto followed = follow_references(); !followed) return followed;
  switch (step.kind) {
    case AccessStep::Kind::member:
      return member(step.name, ".");
    case AccessStep::Kind::arrow:
      if (auto followed = dereference("->"); !followed) return followed;
      return member(step.name, "->");
    case AccessStep::Kind::element:
      return element(step.index);
    case AccessStep::Kind::dereference:
      // An array's name is the address of its first element.
      return is_array(type_) ? element(0) : dereference("*");
  }
  return {};
}

Result<void> AccessPath::finish() {
  if (auto followed = follow_references(); !followed) return followed;
  if (const auto complete = complete_type(image_, type_)) {
    if (is_declaration(type_)) type_ = *complete;
  }
  if (!followed_pointer_) return {};
  const ByteCount size = bit_field_ ? bit_field_->bytes : size_of(type_).value_or(ByteCount{1});
  const RemoteAddress last = address_ + ByteCount{size.value > 0 ? size.value - 1 : 0};
  for (const RemoteAddress end : {address_, last}) {
    if (!memory_.read_object<std::byte>(end)) {
      return fail(ErrorCode::unreadable_memory,
                  fmt::format("{} would be at {:#x} now, where this process has no memory", text_,
                              end.value()));
    }
  }
  return {};
}

ValueType AccessPath::value_type() const {
  return bit_field_ ? value_type_of(type_, *bit_field_) : value_type_of(type_);
}

Result<void> AccessPath::member(const std::string& name, std::string_view sign) {
  if (is_pointer(type_)) {
    return fail(ErrorCode::bad_type, fmt::format("{} is a pointer ({}): use {}->{}", text_,
                                                 name_of(type_), text_, name));
  }
  if (!is_aggregate(type_)) {
    return fail(ErrorCode::bad_type,
                fmt::format("{} has no members: it is {}", text_, name_of(type_)));
  }
  const auto complete = complete_type(image_, type_);
  if (!complete) {
    return fail(
        ErrorCode::bad_type,
        fmt::format("{} is {}, whose members no debug information tells", text_, name_of(type_)));
  }
  std::vector<std::string> names;
  const auto found = find_member(*complete, name, &names);
  if (!found) {
    return fail(ErrorCode::unknown_name,
                fmt::format("{} ({}) has no member called {}; it has: {}", text_, name_of(type_),
                            name, fmt::join(names, ", ")));
  }
  const std::string text = fmt::format("{}{}{}", text_, sign, name);
  if (found->is_in_virtual_base) {
    return fail(ErrorCode::bad_type,
                fmt::format("{} is in a virtual base class, whose place differs from object to "
                            "object: print its address in gdb and watch *ADDRESS:LENGTH",
                            text));
  }
  if (found->bit_field && found->bit_field->bytes > kLongestValue)
    return std::unexpected(long_bit_field(text, *found));
  address_ = address_ + found->offset;
  type_ = found->type;
  bit_field_ = found->bit_field;
  text_ = text;
  return {};
}

Failure AccessPath::long_bit_field(const std::string& text, const Member& member) const {
  return {
      Error{ErrorCode::bad_type},
      fmt::format(
          "{} is a bit-field that lies in {} bytes, and values have {} at most: watch *{:#x}:{}",
          text, member.bit_field->bytes.value, kLongestValue.value,
          (address_ + member.offset).value(), member.bit_field->bytes.value)};
}

Result<void> AccessPath::element(std::uint64_t index) {
  if (is_pointer(type_)) {
    if (auto followed = dereference("[]"); !followed) return followed;
    const auto complete = complete_type(image_, type_);
    const auto size = complete ? size_of(*complete) : std::nullopt;
    if (!size) {
      return fail(ErrorCode::bad_type,
                  fmt::format("{} points to {}, whose size is unknown", text_, name_of(type_)));
    }
    return advance(type_, *size, index);
  }
  const auto found = is_array(type_) ? element_of(type_) : std::nullopt;
  if (!found) {
    return fail(ErrorCode::bad_type,
                fmt::format("{} cannot be indexed: it is {}", text_, name_of(type_)));
  }
  if (found->count && index >= *found->count) {
    return fail(ErrorCode::bad_type,
                *found->count == 0 ? fmt::format("{} has no elements", text_)
                                   : fmt::format("{} has {} elements, 0 to {}: there is no [{}]",
                                                 text_, *found->count, *found->count - 1, index));
  }
  return advance(found->type, found->size, index);
}

Result<void> AccessPath::advance(const DwarfType& type, ByteCount size, std::uint64_t index) {
  std::uint64_t offset = 0;
  std::uint64_t address = 0;
  if (__builtin_mul_overflow(size.value, index, &offset) ||
      __builtin_add_overflow(address_.value(), offset, &address)) {
    return fail(ErrorCode::bad_type,
                fmt::format("{}[{}] lies outside of the address space", text_, index));
  }
  address_ = RemoteAddress(address);
  type_ = type;
  text_ += fmt::format("[{}]", index);
  return {};
}

Result<void> AccessPath::dereference(std::string_view sign) {
  if (!is_pointer(type_)) {
    const char* const hint = sign == "->" && is_aggregate(type_) ? "; use '.'" : "";
    return fail(ErrorCode::bad_type,
                fmt::format("{} is not a pointer but {}{}", text_, name_of(type_), hint));
  }
  if (auto followed = follow(); !followed) return followed;
  if (sign == "*") text_ = "*" + text_;
  return {};
}

Result<void> AccessPath::follow() {
  const auto target = pointee(type_);
  if (!target) {
    return fail(
        ErrorCode::bad_type,
        fmt::format("{} is a void *: what it points to has no type; watch *ADDRESS:LENGTH", text_));
  }
  const auto pointer = memory_.read_object<std::uintptr_t>(address_);
  if (!pointer) {
    return fail(ErrorCode::unreadable_memory,
                fmt::format("{} at {:#x} cannot be read", text_, address_.value()));
  }
  if (*pointer == 0)
    return fail(ErrorCode::unreadable_memory, fmt::format("{} is null now", text_));
  if (!memory_.read_object<std::byte>(RemoteAddress(*pointer))) {
    return fail(
        ErrorCode::unreadable_memory,
        fmt::format("{} points to {:#x} now, where this process has no memory", text_, *pointer));
  }
  address_ = RemoteAddress(*pointer);
  type_ = *target;
  followed_pointer_ = true;
  return {};
}

Result<void> AccessPath::follow_references() {
  for (int level = 0; is_reference(type_) && level < kMaxReferences; ++level) {
    if (auto followed = follow(); !followed) return followed;
  }
  return {};
}

}  // namespace trapline::symbols
