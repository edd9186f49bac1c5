#include "report/summary_table.h"

#include <algorithm>
#include <functional>

#include "report/value_text.h"

namespace trapline::report {
namespace {

constexpr std::size_t kMaxShortcuts = 65'536;

void append_word(std::string& key, std::uint64_t word) {
  key.append(reinterpret_cast<const char*>(&word), sizeof word);
}

// Inlined frames share their address: the symbol tells them apart. So do the frames of programs
// that are at the same addresses: of those without symbols, the module.
std::string key_of(const HitView& view) {
  std::string key;
  append_word(key, view.hit.in_kernel ? 1 : 0);
  append_word(key, view.ip ? 1 : 0);
  append_word(key, view.ip.value_or(view.hit.trap_ip).value());
  for (const symbols::Frame& frame : view.stack.frames) {
    append_word(key, frame.ip.value());
    append_word(key, std::hash<std::string>{}(frame.symbol));
    append_word(key, std::hash<std::string>{}(frame.module));
  }
  return key;
}

SummaryRow empty_row(const HitView& view) {
  SummaryRow row;
  row.instruction = view.instruction;
  row.place = place_of(view);
  row.frames = view.stack.frames;
  return row;
}

}  // namespace

void ThreadCount::add(ThreadId tid) {
  const auto place = std::ranges::lower_bound(seen_, tid.value);
  if ((place != seen_.end() && *place == tid.value) || is_full()) return;
  seen_.insert(place, tid.value);
}

void ValueRange::add(const MemoryValue& value, const symbols::ValueType& type, ByteCount length) {
  if (value.certainty == Certainty::unknown || !is_ordered(value, type, length)) return;
  const bool is_first = lowest_.certainty == Certainty::unknown;
  if (is_first || is_less(value, lowest_, type, length)) lowest_ = value;
  if (is_first || is_less(highest_, value, type, length)) highest_ = value;
}

void SummaryTable::describe(const Request& watch, const symbols::ValueType& type) {
  watch_ = watch;
  type_ = type;
}

SummaryRow* SummaryTable::row_of(const HitView& view) {
  const auto known = rows_by_id_.find(view.stack.id);
  if (known != rows_by_id_.end()) return known->second;
  if (rows_by_id_.size() >= kMaxShortcuts) rows_by_id_.clear();
  std::string key = key_of(view);
  auto row = rows_.find(key);
  if (row == rows_.end() && rows_.size() < limit_)
    row = rows_.emplace(std::move(key), empty_row(view)).first;
  SummaryRow* const found = row == rows_.end() ? nullptr : &row->second;
  rows_by_id_.emplace(view.stack.id, found);
  return found;
}

void SummaryTable::add(const HitView& view) {
  ++total_;
  if (view.tally != 0) open_tally(view);
  SummaryRow* const row = row_of(view);
  if (row == nullptr) {
    ++others_;
    return;
  }
  ++row->count;
  row->first = std::min(row->first, view.hit.time);
  row->last = std::max(row->last, view.hit.time);
  row->threads.add(view.hit.tid);
  row->cpus.insert(view.hit.cpu);
  row->values.add(view.hit.new_value, type_, value_length(watch_, view.hit));
}

void SummaryTable::open_tally(const HitView& view) {
  rows_by_tally_.insert_or_assign(
      view.tally, TalliedRow{row_of(view), view.hit.tid, value_length(watch_, view.hit)});
}

void SummaryTable::add(const TallyView& tally) {
  const auto known = rows_by_tally_.find(tally.number);
  if (known == rows_by_tally_.end()) return;
  const auto [row, tid, length] = known->second;
  if (tally.is_last) rows_by_tally_.erase(known);
  if (tally.count == 0) return;
  total_ += tally.count;
  if (row == nullptr) {
    others_ += tally.count;
    return;
  }
  row->count += tally.count;
  row->first = std::min(row->first, tally.first);
  row->last = std::max(row->last, tally.last);
  row->threads.add(tid);
  row->cpus.insert(tally.cpus);
  row->values.add(tally.lowest, type_, length);
  row->values.add(tally.highest, type_, length);
}

std::vector<const SummaryRow*> SummaryTable::by_count() const {
  std::vector<const SummaryRow*> rows;
  rows.reserve(rows_.size());
  for (const auto& [key, row] : rows_) {
    if (row.count > 0) rows.push_back(&row);
  }
  std::ranges::sort(rows, [](const SummaryRow* a, const SummaryRow* b) {
    return a->count != b->count ? a->count > b->count : a->first < b->first;
  });
  return rows;
}

}  // namespace trapline::report
