#include "ports/linux/watchpoint/watched_bytes.h"

#include <sys/uio.h>
#include <unistd.h>

#include <bit>

#include "trapline/linux/guarded_access.h"

namespace trapline::linux_port {
namespace {

static_assert(std::endian::native == std::endian::little);

std::optional<std::uint64_t> read_by_the_kernel(void* from, std::size_t length) {
  std::uint64_t value = 0;
  const iovec local{&value, length};
  const iovec remote{from, length};
  // By the thread: the process's own id is the main thread's, and has no memory once that has
  // ended.
  const ssize_t count = ::process_vm_readv(::gettid(), &local, 1, &remote, 1, 0);
  if (count != static_cast<ssize_t>(length)) return std::nullopt;
  return value;
}

// In one piece, as the program wrote it.
template <typename T>
std::optional<std::uint64_t> load(const void* from) {
  const auto value = fault::try_load(static_cast<const T*>(from));
  if (!value) return std::nullopt;
  return *value;
}

std::optional<std::uint64_t> copy(const void* from, std::size_t length) {
  std::uint64_t value = 0;
  if (!fault::try_copy(&value, from, length).is_complete()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<std::uint64_t> read_watched(const SlotRequest& slot) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the request names it by number.
  auto* const from = reinterpret_cast<void*>(static_cast<std::uintptr_t>(slot.address.value()));
  const std::size_t length = size_of_own(slot.length);
  if (slot.access != Access::write) return read_by_the_kernel(from, length);
  switch (length) {
    case sizeof(std::uint8_t):
      return load<std::uint8_t>(from);
    case sizeof(std::uint16_t):
      return load<std::uint16_t>(from);
    case sizeof(std::uint32_t):
      return load<std::uint32_t>(from);
    case sizeof(std::uint64_t):
      return load<std::uint64_t>(from);
    default:
      return copy(from, length);
  }
}

}  // namespace trapline::linux_port
