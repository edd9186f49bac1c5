// From an expression to the address, length and type it names in a live process.
//
// Looks in the program first, then in its shared libraries in load order. DWARF where there is
// some, ELF symbols where there is not (then the type is unknown and the length is the symbol's
// size). Pointers are followed once, now.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/failure.h"
#include "symbols/expression.h"
#include "symbols/process_image.h"
#include "symbols/value_type.h"
#include "trapline/base/address.h"
#include "trapline/port/memory_reader.h"

namespace trapline::symbols {

struct ResolvedObject {
  RemoteAddress address;
  ByteCount length;  // 0 if neither DWARF nor ELF tells (ask the user for --length)
  ValueType type;
  std::string module;  // path of the module the name was found in; "" for an explicit address
  RemoteAddress module_start;     // where it is mapped, to notice that it is unloaded
  bool followed_pointer = false;  // the address depends on memory as it was when resolved
  std::vector<std::string>
      notes;  // e.g. "no debug information for app: the type of counter is unknown"
};

struct ResolvedFunction {
  RemoteAddress entry;
  std::string name;
  std::string module;
  RemoteAddress module_start;
  std::size_t inlined_copies = 0;  // calls there are not seen
};

// Errors, each with a complete sentence: bad_syntax (with the position marked by a caret is the
// caller's job: here the character number), unknown_name (lists the nearest names), ambiguous_name
// (lists the candidates as one could type them: file.c:name), bad_type (member of a non-struct,
// deref of a non-pointer, bit-field, register or optimised-out variable; thread-local: says what to
// do instead), unreadable_memory (a null or wild pointer on the way: which step).
[[nodiscard]] Result<ResolvedObject> resolve_object(ProcessImage& image, MemoryReader& memory,
                                                    const Expression& expression);

// For -t x. Errors as above; bad_type if the name is a variable.
[[nodiscard]] Result<ResolvedFunction> resolve_function(ProcessImage& image,
                                                        const Expression& expression);

}  // namespace trapline::symbols
