// From an expression to the address, length and type it names in a live process.
//
// Looks in the program first, then in its shared libraries in the dynamic linker's order. DWARF
// where there is some, ELF symbols where there is not (then the type is unknown and the length is
// the symbol's size). Pointers are followed once, now; a reference means what it refers to. A
// static variable of a function is "function::name", or its name alone if nothing at file level has
// it. The file in front of a name may be a source file or a module ("libc.so.6:main_arena"), each
// by the tail of its path.
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

// What "*ADDRESS" without a length means: a machine word.
inline constexpr ByteCount kDefaultLength{sizeof(void*)};

struct ResolvedObject {
  RemoteAddress address;  // of a bit-field: of the first byte it lies in
  ByteCount length;       // 0 if neither DWARF nor ELF tells (ask the user for --length)
  ValueType type;
  // Path of the module the object lies in; "" for an explicit address or behind a pointer.
  std::string module;
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
  std::vector<std::string> notes;  // e.g. calls of a specialised copy are not seen
};

// Errors, each with a complete sentence: bad_syntax (with the position marked by a caret is the
// caller's job: here the character number), unknown_name (lists the nearest names), ambiguous_name
// (lists the candidates as one could type them: file.c:name), bad_type (member of a non-struct,
// deref of a non-pointer, register or optimised-out variable, bit-field in more than 8 bytes;
// thread-local: says what to do instead), unreadable_memory (a null or wild pointer on the way:
// which step).
[[nodiscard]] Result<ResolvedObject> resolve_object(ProcessImage& image, MemoryReader& memory,
                                                    const Expression& expression);

// For -t x. Errors as above; bad_type if the name is a variable.
[[nodiscard]] Result<ResolvedFunction> resolve_function(ProcessImage& image,
                                                        const Expression& expression);

}  // namespace trapline::symbols
