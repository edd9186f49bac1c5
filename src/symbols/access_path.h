// Following ".member", "->member", "[index]" and "*" from a variable through a live process's
// memory.
#pragma once

#include <string>

#include "base/failure.h"
#include "symbols/dwarf_types.h"
#include "symbols/expression.h"
#include "symbols/process_image.h"
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

  [[nodiscard]] RemoteAddress address() const { return address_; }
  [[nodiscard]] const DwarfType& type() const { return type_; }
  // The address depends on memory as it is now.
  [[nodiscard]] bool followed_pointer() const { return followed_pointer_; }

 private:
  Result<void> member(const std::string& name, std::string_view sign);
  Result<void> element(std::uint64_t index);
  Result<void> advance(const DwarfType& type, ByteCount size, std::uint64_t index);
  Result<void> dereference(std::string_view sign);
  Result<void> follow();
  Result<void> follow_references();
  [[nodiscard]] Failure bit_field(const std::string& text, const Member& member) const;

  ProcessImage& image_;
  MemoryReader& memory_;
  RemoteAddress address_;
  DwarfType type_;
  std::string text_;  // what has been followed so far, as the user would write it
  bool followed_pointer_ = false;
};

}  // namespace trapline::symbols
