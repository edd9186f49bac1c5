// Plans a watch of an unaligned object and prints the slots.
#include <cinttypes>
#include <cstdio>

#include "trapline/port/debug_architecture.h"
#include "trapline/watch/plan.h"

int main() {
  const trapline::Request request{trapline::RemoteAddress(0x1001), trapline::ByteCount{4},
                                  trapline::Access::write};
  const auto plan = trapline::make_plan(request, trapline::x86_64_debug_architecture());
  if (!plan) return 1;
  for (const trapline::SlotRequest& slot : plan->slots()) {
    std::printf("%#" PRIx64 "+%" PRIu64 "\n", slot.address.value(), slot.length.value);
  }
  return 0;
}
