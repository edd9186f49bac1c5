// What a write to a frozen object is reported as. In the handler of the write, in any state that
// the process may be in: no lock, no allocation.
#include <dlfcn.h>
#include <link.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "ports/linux/watchpoint/signal_text.h"
#include "trapline/linux/guard.h"

// Weak: older C libraries than 2.35 do not have it. It takes no lock, as dladdr does.
#pragma weak _dl_find_object

namespace trapline {
namespace {

using linux_port::SignalText;

constexpr std::size_t kTaskNameBytes = 16;  // TASK_COMM_LEN

// As addr2line takes it: the file, and where in it. The program itself has no name there.
void put_place(SignalText& text, std::uintptr_t code) {
  dl_find_object found{};
  auto* const address = reinterpret_cast<void*>(code);  // NOLINT(performance-no-int-to-ptr)
  if (_dl_find_object == nullptr || _dl_find_object(address, &found) != 0) {
    text.hex(code);
    return;
  }
  const char* const name = found.dlfo_link_map->l_name;
  text << (name[0] != '\0' ? name : ::program_invocation_name) << "+";
  text.hex(code - found.dlfo_link_map->l_addr);
}

void report_values(const WatchpointHit& hit) {
  SignalText text;
  text << "trapline: this object is frozen, and was written outside a scope:\n    ";
  text.decimal(hit.length) << " bytes at ";
  text.hex(reinterpret_cast<std::uintptr_t>(hit.address));
  if (!hit.new_bytes.empty()) {
    text << ", ";
    if (!hit.old_bytes.empty()) text.bytes(hit.old_bytes) << " ";
    text << "-> ";
    text.bytes(hit.new_bytes);
  }
  text << "\n";
  text.write_to(STDERR_FILENO);
}

void report_writer(const WatchpointHit& hit) {
  std::array<char, kTaskNameBytes> name{};
  ::prctl(PR_GET_NAME, name.data());
  SignalText text;
  text << "    by thread ";
  text.decimal(static_cast<std::uint64_t>(::gettid())) << " (" << name.data() << ") at ";
  put_place(text, hit.code_address());
  text << (hit.is_late ? ", or before: it had SIGTRAP blocked\n" : "\n");
  text.write_to(STDERR_FILENO);
}

}  // namespace

void report_frozen_write(const WatchpointHit& hit) {
  report_values(hit);
  report_writer(hit);
  for (const std::uintptr_t caller : hit.callers) {
    SignalText text;
    text << "    from ";
    put_place(text, caller - 1);  // inside the call
    text << "\n";
    text.write_to(STDERR_FILENO);
  }
  SignalText hint;
  hint << "  names: addr2line -Cfie FILE OFFSET\n";
  hint.write_to(STDERR_FILENO);
  std::abort();
}

}  // namespace trapline
