#include "bench/peers/reported_hits.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

namespace trapline::peers {
namespace {

constexpr std::string_view kBlanks = " \t";

// Calls visit(line) for each line.
template <typename Visit>
void for_each_line(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    visit(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

std::string_view trimmed(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

// The number that the text is, or that stands before a blank.
std::optional<std::uint64_t> number_in(std::string_view text) {
  text = trimmed(text);
  text = text.substr(0, text.find_first_of(kBlanks));
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), number);
  if (error != std::errc() || end != text.end()) return std::nullopt;
  return number;
}

// The number after `prefix`, which stands after blanks.
std::optional<std::uint64_t> number_after(std::string_view line, std::string_view prefix) {
  line = trimmed(line);
  if (!line.starts_with(prefix)) return std::nullopt;
  return number_in(line.substr(prefix.size()));
}

std::uint64_t count_of(std::string_view text, std::string_view mark) {
  std::uint64_t count = 0;
  for_each_line(text, [&](std::string_view line) {
    if (line.starts_with(mark)) ++count;
  });
  return count;
}

// "Lost 12 events"
std::uint64_t bpftrace_losses(std::string_view text) {
  std::uint64_t lost = 0;
  for_each_line(text,
                [&](std::string_view line) { lost += number_after(line, "Lost ").value_or(0); });
  return lost;
}

}  // namespace

Result<ReportedHits> from_perf_stat(std::string_view text) {
  std::optional<std::uint64_t> count;
  std::string_view told;
  for_each_line(text, [&](std::string_view line) {
    if (line.empty() || line.starts_with('#')) return;
    told = line;
    count = number_in(line.substr(0, line.find(',')));
  });
  if (!count)
    return fail(ErrorCode::bad_syntax, fmt::format("perf stat counted nothing: {}", told));
  return ReportedHits{*count, std::nullopt};
}

Result<ReportedHits> from_perf_report(std::string_view text) {
  // First come the sums over all events, in records; then each event of its own, in samples.
  bool in_event = false;
  std::optional<std::uint64_t> samples;
  std::optional<std::uint64_t> lost;
  for_each_line(text, [&](std::string_view line) {
    if (line.starts_with("mem:")) in_event = true;
    if (!in_event) return;
    if (const auto number = number_after(line, "SAMPLE events:")) samples = number;
    if (const auto number = number_after(line, "LOST_SAMPLES events:")) lost = number;
  });
  if (!samples) return fail(ErrorCode::bad_syntax, "perf report names no samples of the event");
  return ReportedHits{*samples, lost};
}

ReportedHits from_bpftrace_counts(std::string_view text) {
  ReportedHits reported{0, bpftrace_losses(text)};
  for_each_line(text, [&](std::string_view line) {
    // "@[", the stack's lines, "]: 12"
    reported.hits += number_after(line, "]:").value_or(0);
  });
  return reported;
}

ReportedHits from_bpftrace_values(std::string_view text) {
  ReportedHits reported{0, bpftrace_losses(text)};
  for_each_line(text, [&](std::string_view line) {
    if (number_in(line)) ++reported.hits;
  });
  return reported;
}

ReportedHits from_gdb(std::string_view text) {
  return {count_of(text, "Old value = "), std::nullopt};
}

ReportedHits from_lldb(std::string_view text) {
  return {count_of(text, "Command #1 'continue' continued the target."), std::nullopt};
}

void TraplineRecords::take_line() {
  if (line_.starts_with(R"({"type":"hit")")) {
    ++hit_lines_;
  } else if (!line_.empty()) {
    last_line_ = line_;
  }
  line_.clear();
}

void TraplineRecords::add(std::string_view piece) {
  while (!piece.empty()) {
    const std::size_t end = piece.find('\n');
    line_.append(piece.substr(0, end));
    if (end == std::string_view::npos) return;
    take_line();
    piece.remove_prefix(end + 1);
  }
}

Result<ReportedHits> TraplineRecords::finish() const {
  const auto end = nlohmann::json::parse(last_line_, nullptr, false);
  if (!end.is_object() || end.value("type", "") != "end")
    return fail(ErrorCode::bad_syntax, "the records of trapline have no end");
  const auto hits = end.value("hits", std::uint64_t{0});
  if (end.value("lost_is_lower_bound", false))
    return fail(ErrorCode::bad_syntax, "trapline says that it lost hits that it could not count");
  if (hit_lines_ != 0 && hit_lines_ != hits)
    return fail(ErrorCode::bad_syntax,
                fmt::format("trapline wrote {} hits and says {}", hit_lines_, hits));
  return ReportedHits{hits + end.value("filtered", std::uint64_t{0}),
                      end.value("lost", std::uint64_t{0})};
}

}  // namespace trapline::peers
