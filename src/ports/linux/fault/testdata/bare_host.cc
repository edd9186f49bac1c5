// A program that knows nothing of guarded access, and loads something that does: the handler comes
// with the shared object, and stays when that is closed.
//
//     bare_host PLUGIN [crash]
#include <dlfcn.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <initializer_list>

namespace {

int call(void* plugin, const char* name) {
  auto* const function = reinterpret_cast<int (*)()>(::dlsym(plugin, name));
  return function != nullptr ? function() : -1;
}

}  // namespace

int main(int argc, char** argv) {
  for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGTRAP}) std::signal(signal, SIG_DFL);
  void* const plugin = ::dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (plugin == nullptr) {
    std::fputs(::dlerror(), stderr);
    return 2;
  }
  if (call(plugin, "plugin_install") != 1) return 3;
  auto* const faults = reinterpret_cast<int (*)(int)>(::dlsym(plugin, "plugin_faults"));
  if (faults(100) != 200) return 4;
  ::dlclose(plugin);
  // Its handler is still there, as code: it hands on what is a bug.
  volatile std::uintptr_t bad = 0x20;
  if (argc > 2) *reinterpret_cast<volatile int*>(bad) = 1;
  return 0;
}
