#include "ports/linux/perf_ring_set.h"

#include <algorithm>

namespace trapline::linux_port {

void PerfRingSet::add(PerfRingReader& reader) {
  Ring ring;
  ring.reader = &reader;
  ring.position = ring.limit = ring.visited = reader.tail();
  rings_.push_back(std::move(ring));
}

void PerfRingSet::look() {
  for (Ring& ring : rings_) {
    ring.limit = ring.reader->head();
    if (!ring.front) load_front(ring);
  }
}

void PerfRingSet::load_front(Ring& ring) {
  ring.front.reset();
  if (ring.position >= ring.limit) return;
  ring.front = ring.reader->record_at(ring.position, ring.limit, ring.copy);
  if (!ring.front) {
    ring.position = ring.limit;
    return;
  }
  // A record without a time is due at once.
  ring.front_time = time_of(*ring.front, layout_).value_or(Nanoseconds{0});
}

std::optional<PerfRingSet::Item> PerfRingSet::next(Nanoseconds until) {
  if (taken_from_) load_front(rings_[*taken_from_]);
  taken_from_.reset();

  Ring* oldest = nullptr;
  for (Ring& ring : rings_) {
    if (ring.front && (oldest == nullptr || ring.front_time < oldest->front_time)) oldest = &ring;
  }
  if (oldest == nullptr || oldest->front_time > until) return std::nullopt;

  Item item;
  item.ring = static_cast<std::size_t>(oldest - rings_.data());
  item.position = oldest->position;
  item.bytes = *oldest->front;
  item.header = *read_header(item.bytes);
  oldest->position += item.header.size;
  taken_from_ = item.ring;
  return item;
}

bool PerfRingSet::has_more() const {
  return std::ranges::any_of(rings_, [](const Ring& ring) { return ring.position < ring.limit; });
}

bool PerfRingSet::has_more_samples() {
  for (const Ring& ring : rings_) {
    std::uint64_t position = ring.position;
    while (position < ring.limit) {
      const auto record = ring.reader->record_at(position, ring.limit, visit_copy_);
      const auto header = record ? read_header(*record) : std::nullopt;
      if (!header) break;
      if (header->kind == RecordKind::sample) return true;
      position += header->size;
    }
  }
  return false;
}

void PerfRingSet::release() {
  if (taken_from_) load_front(rings_[*taken_from_]);
  taken_from_.reset();
  for (Ring& ring : rings_) {
    if (ring.reader->tail() != ring.position) ring.reader->release(ring.position);
  }
}

}  // namespace trapline::linux_port
