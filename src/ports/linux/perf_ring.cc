#include "ports/linux/perf_ring.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

namespace trapline::linux_port {

PerfRingReader::PerfRingReader(perf_event_mmap_page& page, std::span<const std::byte> data)
    : page_(&page), data_(data), tail_(page.data_tail) {}

std::uint64_t PerfRingReader::head() const {
  // Pairs with the kernel's write barrier between the bytes of a record and data_head.
  return std::atomic_ref(page_->data_head).load(std::memory_order_acquire);
}

std::optional<std::span<const std::byte>> PerfRingReader::record_at(
    std::uint64_t position, std::uint64_t limit, std::vector<std::byte>& copy) const {
  if (limit - position < sizeof(perf_event_header) || limit - position > data_.size())
    return std::nullopt;
  const auto offset = static_cast<std::size_t>(position & (data_.size() - 1));
  const auto available = static_cast<std::size_t>(limit - position);
  const auto until_end = data_.subspan(offset, std::min(available, data_.size() - offset));
  // Records are multiples of 8 bytes, so a header never wraps.
  perf_event_header header;
  std::memcpy(&header, until_end.data(), sizeof header);
  if (header.size < sizeof header || header.size % 8 != 0 || header.size > available)
    return std::nullopt;
  if (header.size <= until_end.size()) return until_end.first(header.size);

  copy.resize(header.size);
  std::memcpy(copy.data(), until_end.data(), until_end.size());
  std::memcpy(copy.data() + until_end.size(), data_.data(), header.size - until_end.size());
  return std::span<const std::byte>(copy);
}

void PerfRingReader::release(std::uint64_t position) {
  tail_ = position;
  // Pairs with the kernel's read of data_tail before it overwrites what lies before it.
  std::atomic_ref(page_->data_tail).store(position, std::memory_order_release);
}

std::expected<PerfRing, int> PerfRing::map(int event_fd, ByteCount data_bytes) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::size_t pages =
      std::bit_floor(static_cast<std::size_t>(std::max<std::uint64_t>(data_bytes.value / page, 1)));
  while (true) {
    void* base =
        ::mmap(nullptr, (pages + 1) * page, PROT_READ | PROT_WRITE, MAP_SHARED, event_fd, 0);
    if (base != MAP_FAILED) return PerfRing(base, page, ByteCount{pages * page});
    if ((errno != EPERM && errno != ENOMEM) || pages == 1) return std::unexpected(errno);
    pages /= 2;
  }
}

PerfRing::PerfRing(void* base, std::size_t page, ByteCount size)
    : base_(base),
      mapped_(page + static_cast<std::size_t>(size.value)),
      size_(size),
      reader_(*static_cast<perf_event_mmap_page*>(base),
              std::span(static_cast<const std::byte*>(base) + page,
                        static_cast<std::size_t>(size.value))) {}

PerfRing::PerfRing(PerfRing&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)),
      mapped_(other.mapped_),
      size_(other.size_),
      reader_(other.reader_) {}

PerfRing::~PerfRing() {
  if (base_ != nullptr) ::munmap(base_, mapped_);
}

}  // namespace trapline::linux_port
