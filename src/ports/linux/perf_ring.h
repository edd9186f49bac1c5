// The ring that the kernel writes a CPU's records into and this process reads.
//
// One reader, one thread. The kernel publishes data_head after the bytes it covers; the reader
// publishes data_tail after it is done with the bytes before it.
//
// Source: perf_event_open(2), "MMAP layout"; kernel/events/ring_buffer.c, perf_output_put_handle.
#pragma once

#include <linux/perf_event.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <vector>

#include "trapline/base/units.h"

namespace trapline::linux_port {

// Reads a ring in somebody else's memory: `page` and `data` outlive it, data.size() is a power of
// two.
class PerfRingReader {
 public:
  PerfRingReader(perf_event_mmap_page& page, std::span<const std::byte> data);

  // How far the kernel has written. Positions count bytes since the ring was made and never wrap
  // back.
  [[nodiscard]] std::uint64_t head() const;
  // How far the reader has given back.
  [[nodiscard]] std::uint64_t tail() const { return tail_; }

  // The record at `position`, which lies in [tail, limit) with limit <= head(); nullopt if what
  // stands there is not a record. It borrows the ring, or `copy` where it wraps around the end.
  [[nodiscard]] std::optional<std::span<const std::byte>> record_at(
      std::uint64_t position, std::uint64_t limit, std::vector<std::byte>& copy) const;

  // Gives everything before `position` back to the kernel.
  void release(std::uint64_t position);

 private:
  perf_event_mmap_page* page_;
  std::span<const std::byte> data_;
  std::uint64_t tail_;
};

// Maps the ring of an event that was opened for one CPU.
class PerfRing {
 public:
  // `data_bytes` is rounded down to a power of two of pages, at least one, and halved while the
  // system refuses it (EPERM: kernel.perf_event_mlock_kb; ENOMEM). The error is an errno.
  [[nodiscard]] static std::expected<PerfRing, int> map(int event_fd, ByteCount data_bytes);

  PerfRing(PerfRing&& other) noexcept;
  PerfRing& operator=(PerfRing&& other) = delete;
  ~PerfRing();

  [[nodiscard]] PerfRingReader& reader() { return reader_; }
  [[nodiscard]] ByteCount size() const { return size_; }

 private:
  PerfRing(void* base, std::size_t page, ByteCount size);

  void* base_;
  std::size_t mapped_;
  ByteCount size_;
  PerfRingReader reader_;
};

}  // namespace trapline::linux_port
