// A shared object that brings the library along.
#include "trapline/linux/cpu_hotplug.h"
#include "trapline/linux/guarded_access.h"
#include "trapline/linux/watchpoint.h"

namespace {
alignas(8) int watched = 0;
}  // namespace

// Whether each part of the library works from here, or says why not.
extern "C" bool use_library() {
  if (!trapline::fault::install_fault_handler()) return false;
  const int* const nowhere = nullptr;
  if (trapline::fault::try_load(nowhere).has_value()) return false;
  const auto hotplug = trapline::CpuHotplug::start();
  if (hotplug.has_value() && (*hotplug)->machine().online_cpus().cpus().count() == 0) return false;
  const auto watch = trapline::Watchpoint::create(watched, trapline::Access::write,
                                                  [](const trapline::WatchpointHit&) {});
  return watch.has_value() || !trapline::advice_on(watch.error()).empty();
}
