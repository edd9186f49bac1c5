#include "ports/linux/hotplug_thread.h"

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "ports/linux/blocked_signals.h"
#include "trapline/base/cpu_set.h"

namespace trapline::linux_port {
namespace {

bool is_running_on(CpuId cpu) {
  unsigned current = 0;
  return ::syscall(SYS_getcpu, &current, nullptr, nullptr) == 0 && current == cpu.value;
}

}  // namespace

HotplugThread::HotplugThread(CpuId cpu) : cpu_(cpu) {
  const BlockedSignals blocked;
  thread_ = std::thread([this] { serve(); });
}

HotplugThread::~HotplugThread() {
  ends_ = true;
  begin_.release();
  thread_.join();
}

void HotplugThread::run(CpuWork work) {
  work_ = work;
  begin_.release();
  done_.acquire();
}

void HotplugThread::serve() {
  ::pthread_setname_np(::pthread_self(), ("hotplug/" + std::to_string(cpu_.value)).c_str());
  while (true) {
    begin_.acquire();
    if (ends_) return;
    work_.run(work_.argument, pin());
    done_.release();
  }
}

bool HotplugThread::pin() {
  // The affinity is the one set last unless the CPU has been offline since, and then the thread has
  // been moved away or starts out on another CPU.
  if (is_pinned_ && is_running_on(cpu_)) return true;
  // Not a cpu_set_t, which ends at 1024 CPUs.
  constexpr std::size_t kBits = 8 * sizeof(unsigned long);
  std::vector<unsigned long> mask(kMaxCpus / kBits);
  mask[cpu_.value / kBits] = 1UL << (cpu_.value % kBits);
  const long pinned =
      ::syscall(SYS_sched_setaffinity, 0, mask.size() * sizeof(mask[0]), mask.data());
  is_pinned_ = pinned == 0 && is_running_on(cpu_);
  return is_pinned_;
}

}  // namespace trapline::linux_port
