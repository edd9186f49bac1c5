// Catches who changes an object that nobody should: settings that are watched while the program
// starts, and frozen afterwards.
//
//     frozen          what is allowed, then a write from another thread through a stray pointer
#include <cinttypes>
#include <cstdio>
#include <thread>

#include "trapline/linux/guard.h"
#include "trapline/linux/watchpoint.h"

namespace {

struct Settings {
  int workers = 4;
  int limit = 100;
};
Settings settings;

// What a handler may do is little (it runs in the middle of anything): it keeps what it was told.
struct LastWrite {
  std::uintptr_t code = 0;
  int old_limit = 0;
  int new_limit = 0;
};
LastWrite last_write;

void keep(const trapline::WatchpointHit& hit) {
  const Settings before = hit.old_as<Settings>().value_or(Settings{});
  const Settings after = hit.new_as<Settings>().value_or(Settings{});
  last_write = {hit.code_address(), before.limit, after.limit};
}

void set_limit(int limit) {
  settings.limit = limit;
}

// Forgets that the settings are frozen.
void stray_write() {
  volatile int* const pointer = &settings.limit;
  *pointer = -1;
}

int explain(const trapline::Error& error) {
  std::printf("not watched: %s\n", trapline::advice_on(error).c_str());
  return 2;
}

}  // namespace

int main() {
  {
    const trapline::Watchpoint watch{settings, trapline::Access::write, keep};
    if (!watch) return explain(*watch.error());
    std::thread(set_limit, 200).join();
    std::printf("limit %d -> %d, written at %#" PRIxPTR "\n", last_write.old_limit,
                last_write.new_limit, last_write.code);
  }

  const auto guard = trapline::Guard::create(settings);
  if (!guard) return explain(guard.error());
  {
    const auto scope = guard->open();
    set_limit(300);
    std::printf("limit %d, set inside a scope\n", settings.limit);
  }
  std::fflush(stdout);
  std::thread(stray_write).join();  // reported with its stack, and the process aborts
  std::printf("nobody noticed\n");
  return 1;
}
