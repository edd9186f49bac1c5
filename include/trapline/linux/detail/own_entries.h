// Registers the exception table of the module (program or shared object) that this is compiled
// into.
#pragma once

#include <cstddef>

#include "trapline/fault/exception_table.h"

// Not for use but here. The name says which layout the entries have: a process may hold modules
// that were built with different releases. The second call for a table, and one for an empty one,
// does nothing.
extern "C" void trapline_register_entries_v1(const trapline::fault::ExceptionEntry* begin,
                                             const trapline::fault::ExceptionEntry* end);
extern "C" void trapline_unregister_entries_v1(const trapline::fault::ExceptionEntry* begin);

namespace trapline::fault::detail {

// The linker makes these for a section whose name is a C identifier. Weak: a module may have none.
// Hidden: each module has its own.
[[gnu::weak, gnu::visibility("hidden")]] extern const ExceptionEntry own_entries_begin[] __asm__(
    "__start_trapline_ex_table");
[[gnu::weak, gnu::visibility("hidden")]] extern const ExceptionEntry own_entries_end[] __asm__(
    "__stop_trapline_ex_table");

// Priority 101 is the first that is not the implementation's: before every other constructor of the
// module, and after every destructor. Attributes and not an object: at exit they come after all
// objects of all modules, when other threads may still run. Every file that includes this has a
// call of its own.
[[gnu::visibility("hidden"), gnu::used, gnu::constructor(101)]] inline void register_own_entries() {
  trapline_register_entries_v1(own_entries_begin, own_entries_end);
}
[[gnu::visibility("hidden"), gnu::used, gnu::destructor(101)]] inline void
unregister_own_entries() {
  trapline_unregister_entries_v1(own_entries_begin);
}

}  // namespace trapline::fault::detail
