// What newlib asks of a system: a console, a heap, a lock around it, a clock. Everything else
// fails, as its manual allows ("System Calls").
#include <sys/stat.h>
#include <sys/time.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "isa/armv7/system_registers.h"
#include "ports/armv7_virt/print.h"
#include "ports/armv7_virt/semihosting.h"
#include "ports/armv7_virt/stop.h"
#include "ports/armv7_virt/timer.h"

namespace {

using namespace trapline::armv7_virt;

int fail(int code) {
  errno = code;
  return -1;
}

// Taken again by the CPU that has it: realloc calls malloc and free. IRQs stay masked while it is
// held, so that the hotplug thread of the same CPU never waits for it.
class HeapLock {
 public:
  void lock() {
    const bool were_masked = trapline::isa::armv7::irqs_are_masked();
    trapline::isa::armv7::mask_irqs();
    const std::uint32_t self = 1 + (trapline::isa::armv7::read_mpidr() & 0xff);
    if (owner_.load(std::memory_order_relaxed) != self) {
      std::uint32_t nobody = 0;
      while (!owner_.compare_exchange_weak(nobody, self, std::memory_order_acquire)) nobody = 0;
      were_masked_ = were_masked;
    }
    ++depth_;
  }
  void unlock() {
    if (--depth_ != 0) return;
    const bool were_masked = were_masked_;
    owner_.store(0, std::memory_order_release);
    if (!were_masked) trapline::isa::armv7::unmask_irqs();
  }

 private:
  std::atomic<std::uint32_t> owner_{0};
  unsigned depth_ = 0;  // these two belong to the owner
  bool were_masked_ = false;
};
HeapLock heap_lock;

}  // namespace

extern "C" {

// link.ld.
extern char heap_start[];
extern char heap_end[];

// One address for this image; newlib's C++ support wants it.
void* __dso_handle = nullptr;

void __malloc_lock(struct _reent* /*reent*/) {
  heap_lock.lock();
}
void __malloc_unlock(struct _reent* /*reent*/) {
  heap_lock.unlock();
}

// Only malloc calls it, under the lock.
void* _sbrk(std::ptrdiff_t increment) {
  static char* end = heap_start;
  if (increment > heap_end - end) {
    errno = ENOMEM;
    return reinterpret_cast<void*>(-1);
  }
  char* const before = end;
  end += increment;
  return before;
}

int _write(int /*file*/, const char* text, int length) {
  write_text(std::string_view(text, static_cast<std::size_t>(length)));
  return length;
}
int _gettimeofday(struct timeval* time, void* /*zone*/) {
  const std::uint64_t now = timer::now().value;
  time->tv_sec = static_cast<time_t>(now / 1'000'000'000);
  time->tv_usec = static_cast<suseconds_t>(now / 1000 % 1'000'000);
  return 0;
}
[[noreturn]] void _exit(int status) {
  semihosting::exit(status);
}
int _kill(int /*process*/, int /*signal*/) {
  stop_for_bug("abort()");
}
int _isatty(int /*file*/) {
  return 1;
}
int _fstat(int /*file*/, struct stat* status) {
  status->st_mode = S_IFCHR;
  return 0;
}
int _getpid() {
  return 1;
}
int _read(int /*file*/, char* /*text*/, int /*length*/) {
  return 0;
}
int _close(int /*file*/) {
  return fail(EBADF);
}
int _lseek(int /*file*/, int /*offset*/, int /*whence*/) {
  return fail(ESPIPE);
}
int _open(const char* /*path*/, int /*flags*/, int /*mode*/) {
  return fail(ENOENT);
}
int _stat(const char* /*path*/, struct stat* /*status*/) {
  return fail(ENOENT);
}
int _unlink(const char* /*path*/) {
  return fail(ENOENT);
}
int mkdir(const char* /*path*/, mode_t /*mode*/) {
  return fail(ENOSYS);
}
char* getcwd(char* /*buffer*/, std::size_t /*size*/) {
  errno = ENOSYS;
  return nullptr;
}
// The end of a C runtime that start.S does without.
void _fini() {}
int rmdir(const char* /*path*/) {
  return fail(ENOENT);
}
}
