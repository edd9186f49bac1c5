// Following ".member", "->member", "[index]" and "*" from a variable through a live process's
// memory.
#pragma once

#include <optional>
#include <string>

#include "base/failure.h"
#include "symbols/dwarf_types.h"
#include "symbols/expression.h"
#include "symbols/process_image.h"
#include "symbols/value_type.h"
#include "trapline/base/address.h"
#include "trapline/port/memory_reader.h"

namespace trapline::symbols {

class AccessPath {
 public:
  // Starts at a variable; `text` is how the user wrote it. Image and memory are borrowed.
  AccessPath(ProcessImage& image, MemoryReader& memory, RemoteAddress address, DwarfType type,
             std::string text);

  // Errors: unknown_name (no such member), bad_type, unreadable_memory; then the path is where it
  // was, or at an operand of the step.
  [[nodiscard]] Result<void> take(const AccessStep& step);
  // To be called after the last step: a reference means what it refers to, and what lies behind a
  // pointer must be there.
  [[nodiscard]] Result<void> finish();

  // Of a bit-field: of the first byte it lies in.
  [[nodiscard]] RemoteAddress address() const { return address_; }
  // How the bytes from there on are to be read; its length is how many they are, 0 if unknown.
  [[nodiscard]] ValueType value_type() const;
  // Which bits of these bytes a bit-field has.
  [[nodiscard]] const std::optional<BitField>& bit_field() const { return bit_field_; }
  // The address depends on memory as it is now.
  [[nodiscard]] bool followed_pointer() const { return followed_pointer_; }

 private:
  Result<void> member(const std::string& name, std::string_view sign);
  Result<void> element(std::uint64_t index);
  Result<void> advance(const DwarfType& type, ByteCount size, std::uint64_t index);
  Result<void> dereference(std::string_view sign);
  Result<void> follow();
  Result<void> follow_references();
  [[nodiscard]] Failure long_bit_field(const std::string& text, const Member& member) const;

  ProcessImage& image_;
  MemoryReader& memory_;
  RemoteAddress address_;
  DwarfType type_;
  std::optional<BitField> bit_field_;
  std::string text_;  // what has been followed so far, as the user would write it
  bool followed_pointer_ = false;
};

}  // namespace trapline::symbols
