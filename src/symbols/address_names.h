// What a pointer points to, by name.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "trapline/base/address.h"

namespace trapline::symbols {

struct AddressName {
  std::string_view symbol;   // "table", "ns::f(int)"; valid until the next call
  std::uint64_t offset = 0;  // from where it begins
};

class AddressNames {
 public:
  AddressNames() = default;
  AddressNames(const AddressNames&) = delete;
  AddressNames& operator=(const AddressNames&) = delete;
  virtual ~AddressNames() = default;

  // The variable or function in which `address` lies; nullopt if none is known to: heap, stacks,
  // what has no symbol. Whatever lies between two symbols belongs to neither.
  [[nodiscard]] virtual std::optional<AddressName> name_at(RemoteAddress address) = 0;
};

}  // namespace trapline::symbols
