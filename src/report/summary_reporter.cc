#include "report/summary_reporter.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "report/json_reporter.h"
#include "report/text_reporter.h"
#include "report/value_text.h"

namespace trapline::report {
namespace {

constexpr std::size_t kMaxRows = 10'000;
constexpr std::size_t kMaxShortcuts = 65'536;
constexpr std::size_t kMaxThreads = 1'000;
constexpr double kNanosecondsPerSecond = 1e9;
constexpr double kPercent = 100;

// The stack by its addresses: ids change when the table of stacks starts afresh, addresses do not.
std::string key_of(const ResolvedStack& stack) {
  std::string key;
  for (const symbols::Frame& frame : stack.frames) {
    const std::uint64_t ip = frame.ip.value();
    key.append(reinterpret_cast<const char*>(&ip), sizeof ip);
    key.append(frame.symbol);
  }
  return key;
}

std::string value_text(const MemoryValue& value, const symbols::ValueType& type) {
  fmt::memory_buffer buffer;
  append_text(buffer, value, type);
  return fmt::to_string(buffer);
}

}  // namespace

Result<void> SummaryReporter::start(const WatchStart& start) {
  type_ = start.type;
  if (format_ == Format::json) {
    fmt::format_to(std::back_inserter(records_.buffer()), "{}\n", to_line(start_record(start)));
    return records_.flush();
  }
  append_start(remarks_.buffer(), start);
  return remarks_.flush();
}

SummaryReporter::Row& SummaryReporter::row_of(const HitView& view) {
  if (const auto known = by_stack_.find(view.stack.id); known != by_stack_.end())
    return *known->second;
  if (by_stack_.size() >= kMaxShortcuts) by_stack_.clear();
  Row& row = rows_[key_of(view.stack)];
  if (row.count == 0) {
    row.first = view.hit.time;
    row.instruction = view.instruction;
    row.frames = view.stack.frames;
  }
  by_stack_[view.stack.id] = &row;
  return row;
}

Result<void> SummaryReporter::hit(const HitView& view) {
  if (!had_hit_) first_hit_ = view.hit.time;
  had_hit_ = true;
  if (rows_.size() >= kMaxRows && !by_stack_.contains(view.stack.id) &&
      !rows_.contains(key_of(view.stack))) {
    ++others_;
    return {};
  }
  Row& row = row_of(view);
  ++row.count;
  row.last = view.hit.time;
  if (row.threads.size() < kMaxThreads) row.threads.insert(view.hit.tid.value);
  count_value(row, view.hit.new_value);
  return {};
}

void SummaryReporter::count_value(Row& row, const MemoryValue& value) const {
  if (value.certainty == Certainty::unknown || type_.kind == symbols::ValueKind::bytes) return;
  const double number = as_number(value, type_);
  if (!row.has_values || number < as_number(row.lowest, type_)) row.lowest = value;
  if (!row.has_values || number > as_number(row.highest, type_)) row.highest = value;
  row.has_values = true;
}

Result<void> SummaryReporter::lost(std::uint64_t count) {
  if (format_ == Format::json) {
    fmt::format_to(std::back_inserter(records_.buffer()), "{{\"type\":\"lost\",\"count\":{}}}\n",
                   count);
    return records_.settle();
  }
  fmt::format_to(std::back_inserter(remarks_.buffer()),
                 "{} hits lost: they came faster than they could be read\n", count);
  return remarks_.flush();
}

std::vector<const SummaryReporter::Row*> SummaryReporter::by_count() const {
  std::vector<const Row*> rows;
  for (const auto& [key, row] : rows_) rows.push_back(&row);
  std::ranges::sort(rows, [](const Row* a, const Row* b) {
    return a->count != b->count ? a->count > b->count : a->first < b->first;
  });
  return rows;
}

void SummaryReporter::append_text_row(const Row& row, std::uint64_t total, Nanoseconds began) {
  fmt::memory_buffer& buffer = records_.buffer();
  const auto out = std::back_inserter(buffer);
  const auto seconds = [began](Nanoseconds time) {
    return static_cast<double>(static_cast<std::int64_t>(time.value - began.value)) /
           kNanosecondsPerSecond;
  };
  fmt::format_to(out, "{:>10} {:>5.1f}%  ", row.count,
                 kPercent * static_cast<double>(row.count) / static_cast<double>(total));
  if (!row.frames.empty()) append_frame(buffer, row.frames.front());
  if (!row.instruction.empty()) fmt::format_to(out, "  [{}]", row.instruction);
  fmt::format_to(out, "\n{:19}{} {}, from {:+.3f} s to {:+.3f} s", "", row.threads.size(),
                 row.threads.size() == 1 ? "thread" : "threads", seconds(row.first),
                 seconds(row.last));
  if (row.has_values) {
    fmt::format_to(out, ", values {} to {}", value_text(row.lowest, type_),
                   value_text(row.highest, type_));
  }
  buffer.push_back('\n');
  for (std::size_t index = 1; index < row.frames.size(); ++index) {
    fmt::format_to(out, "{:19}from ", "");
    append_frame(buffer, row.frames[index]);
    buffer.push_back('\n');
  }
}

void SummaryReporter::append_json_row(const Row& row) {
  nlohmann::ordered_json record;
  record["type"] = "summary";
  record["count"] = row.count;
  record["first_ns"] = row.first.value;
  record["last_ns"] = row.last.value;
  record["threads"] = row.threads.size();
  if (!row.instruction.empty()) record["instruction"] = row.instruction;
  if (row.has_values) {
    const auto json = [this](const MemoryValue& value) {
      fmt::memory_buffer buffer;
      append_json(buffer, value, type_);
      return nlohmann::ordered_json::parse(fmt::to_string(buffer));
    };
    record["lowest"] = json(row.lowest);
    record["highest"] = json(row.highest);
  }
  record["stack"] = nlohmann::ordered_json::array();
  for (const symbols::Frame& frame : row.frames) record["stack"].push_back(frame_record(frame));
  fmt::format_to(std::back_inserter(records_.buffer()), "{}\n", to_line(record));
}

Result<void> SummaryReporter::end(const WatchEnd& end) {
  const auto out = std::back_inserter(records_.buffer());
  for (const Row* row : by_count()) {
    if (format_ == Format::json) {
      append_json_row(*row);
    } else {
      append_text_row(*row, end.hits, first_hit_);
    }
    if (auto settled = records_.settle(); !settled) return settled;
  }
  if (format_ == Format::json) {
    if (others_ > 0)
      fmt::format_to(out, "{{\"type\":\"summary\",\"count\":{},\"other\":true}}\n", others_);
    fmt::format_to(out, "{}\n", to_line(end_record(end)));
    return records_.flush();
  }
  if (others_ > 0)
    fmt::format_to(out, "{:>10}  from other stacks (the table holds {})\n", others_, kMaxRows);
  if (auto flushed = records_.flush(); !flushed) return flushed;
  append_end(remarks_.buffer(), end);
  return remarks_.flush();
}

}  // namespace trapline::report
