#include "report/summary_reporter.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string_view>

#include "report/json_records.h"
#include "report/printable.h"
#include "report/text_lines.h"
#include "report/typed_text.h"
#include "report/value_text.h"

namespace trapline::report {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kDetailIndent = "                    ";

void append_line(Output& output, const Json& record) {
  fmt::format_to(fmt::appender(output.buffer()), "{}\n", to_line(record));
}

Json json_value(const MemoryValue& value, const symbols::ValueType& type, ByteCount length) {
  fmt::memory_buffer text;
  append_json(text, value, type, length);
  return Json::parse(text.begin(), text.end());
}

void add_value_text(Json& record, const char* name, const MemoryValue& value,
                    const symbols::ValueType& type) {
  fmt::memory_buffer text;
  if (append_scalar_text(text, value, type, nullptr)) record[name] = fmt::to_string(text);
}

Json approximate_names(const ValueRange& values) {
  Json names = Json::array();
  if (values.lowest().certainty == Certainty::approximate) names.push_back("lowest");
  if (values.highest().certainty == Certainty::approximate) names.push_back("highest");
  return names;
}

}  // namespace

Result<void> SummaryReporter::start(const WatchStart& start) {
  type_ = start.type;
  length_ = start.request.length;
  if (type_.length.value == 0) type_.length = length_;
  began_ = start.began;
  table_.describe(start.request, start.type);
  if (format_ == Format::json) {
    append_line(records_, start_record(start));
    return records_.flush();
  }
  append_start(remarks_.buffer(), start);
  if (terminal_) live_.emplace(terminal_->now());
  return remarks_.flush();
}

Result<void> SummaryReporter::hit(const HitView& view) {
  if (!began_) began_ = view.hit.time;
  table_.add(view);
  return {};
}

Result<void> SummaryReporter::open_tally(const HitView& like) {
  if (!began_) began_ = like.hit.time;
  table_.open_tally(like);
  return {};
}

Result<void> SummaryReporter::tally(const TallyView& tally) {
  table_.add(tally);
  return {};
}

Result<void> SummaryReporter::flush() {
  if (!live_) return records_.flush();
  const Nanoseconds now = terminal_->now();
  if (!live_->is_due(now)) return {};
  live_->draw(remarks_.buffer(), table_, now, terminal_->columns());
  return remarks_.flush();
}

void SummaryReporter::erase_live() {
  if (live_) live_->erase(remarks_.buffer());
}

Result<void> SummaryReporter::lost(std::uint64_t count) {
  if (format_ == Format::json) {
    append_line(records_, lost_record(count));
    return records_.settle();
  }
  erase_live();
  append_lost(remarks_.buffer(), count);
  return remarks_.flush();
}

Result<void> SummaryReporter::cpu(const CpuEventView& event) {
  if (!began_) began_ = event.time;
  if (format_ == Format::json) {
    append_line(records_, cpu_record(event));
    return records_.settle();
  }
  if (event.watched) return {};
  erase_live();
  append_cpu_event(remarks_.buffer(), event, *began_);
  return remarks_.flush();
}

Result<void> SummaryReporter::end(const WatchEnd& end) {
  return format_ == Format::json ? end_json(end) : end_text(end);
}

void SummaryReporter::append_text_value(const MemoryValue& value) {
  if (value.certainty == Certainty::approximate) records_.buffer().push_back('~');
  append_scalar_text(records_.buffer(), value, type_, nullptr);
}

void SummaryReporter::append_row_details(const SummaryRow& row) {
  fmt::memory_buffer& buffer = records_.buffer();
  const std::size_t threads = row.threads.count();
  fmt::format_to(fmt::appender(buffer), "{}by {}{} thread{} on ", kDetailIndent, threads,
                 row.threads.is_full() ? " or more" : "", threads == 1 ? "" : "s");
  append_count(buffer, row.cpus.count(), "CPU");
  fmt::format_to(fmt::appender(buffer), ", from {:.6f} s to {:.6f} s",
                 seconds_since(*began_, row.first), seconds_since(*began_, row.last));
  if (row.values.lowest().certainty != Certainty::unknown) {
    buffer.append(std::string_view(", new values from "));
    append_text_value(row.values.lowest());
    buffer.append(std::string_view(" to "));
    append_text_value(row.values.highest());
  }
  buffer.push_back('\n');
}

void SummaryReporter::append_text_row(const SummaryRow& row) {
  fmt::memory_buffer& buffer = records_.buffer();
  append_share(buffer, row.count, table_.total());
  append_place(buffer, row.place, row.frames);
  if (!row.instruction.empty()) {
    buffer.append(std::string_view("  ["));
    append_printable(buffer, row.instruction);
    buffer.push_back(']');
  }
  buffer.push_back('\n');
  append_row_details(row);
  for (std::size_t index = 1; index < row.frames.size(); ++index) {
    fmt::format_to(fmt::appender(buffer), "{}from ", kDetailIndent);
    append_frame(buffer, row.frames[index]);
    buffer.push_back('\n');
  }
}

Result<void> SummaryReporter::end_text(const WatchEnd& end) {
  erase_live();
  if (auto flushed = remarks_.flush(); !flushed) return flushed;
  for (const SummaryRow* row : table_.by_count()) {
    append_text_row(*row);
    if (auto settled = records_.settle(); !settled) return settled;
  }
  if (table_.others() > 0) {
    append_share(records_.buffer(), table_.others(), table_.total());
    fmt::format_to(fmt::appender(records_.buffer()), "other stacks (the table holds {})\n",
                   table_.limit());
  }
  if (auto flushed = records_.flush(); !flushed) return flushed;
  append_end(remarks_.buffer(), end);
  return remarks_.flush();
}

void SummaryReporter::append_json_row(const SummaryRow& row) {
  Json record = {{"type", "summary"},
                 {"count", row.count},
                 {"first_ns", row.first.value},
                 {"last_ns", row.last.value},
                 {"threads", row.threads.count()}};
  if (row.threads.is_full()) record["more_threads"] = true;
  record["cpus"] = cpu_numbers(row.cpus);
  add_access_place(record, row.place);
  if (!row.frames.empty()) add_frame_place(record, row.frames.front());
  if (!row.instruction.empty()) record["instruction"] = row.instruction;
  if (row.values.lowest().certainty != Certainty::unknown) {
    record["lowest"] = json_value(row.values.lowest(), type_, length_);
    record["highest"] = json_value(row.values.highest(), type_, length_);
    add_value_text(record, "lowest_text", row.values.lowest(), type_);
    add_value_text(record, "highest_text", row.values.highest(), type_);
    const Json approximate = approximate_names(row.values);
    if (!approximate.empty()) record["approximate"] = approximate;
  }
  record["stack"] = frame_records(row.frames);
  append_line(records_, record);
}

Result<void> SummaryReporter::end_json(const WatchEnd& end) {
  for (const SummaryRow* row : table_.by_count()) {
    append_json_row(*row);
    if (auto settled = records_.settle(); !settled) return settled;
  }
  if (table_.others() > 0) {
    append_line(records_, {{"type", "summary"}, {"count", table_.others()}, {"other", true}});
  }
  append_line(records_, end_record(end));
  return records_.flush();
}

}  // namespace trapline::report
