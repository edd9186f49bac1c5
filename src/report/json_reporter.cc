#include "report/json_reporter.h"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "report/json_records.h"
#include "report/value_text.h"

namespace trapline::report {
namespace {

using Json = nlohmann::ordered_json;

// As many as the table of stacks holds, twice: about 20 MB with deep stacks.
constexpr std::size_t kMaxStackTexts = 8192;

// `,"a":1,"b":2` for `{"a":1,"b":2}`: what goes behind other members.
std::string more_members(const Json& record) {
  const std::string text = to_line(record);
  return "," + text.substr(1, text.size() - 2);
}

bool needs_no_escape(char c) {
  return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

// As a JSON string; nearly always a thread's name is plain ASCII.
void append_quoted(fmt::memory_buffer& buffer, std::string_view text) {
  if (!std::ranges::all_of(text, needs_no_escape)) {
    buffer.append(to_line(Json(text)));
    return;
  }
  buffer.push_back('"');
  buffer.append(text);
  buffer.push_back('"');
}

// `name` as `,"comm":`; nothing if the text is empty.
void append_text_member(fmt::memory_buffer& buffer, std::string_view name, std::string_view text) {
  if (text.empty()) return;
  buffer.append(name);
  append_quoted(buffer, text);
}

std::string_view approximate_member(const Hit& hit) {
  const bool old_is = hit.old_value.certainty == Certainty::approximate;
  const bool new_is = hit.new_value.certainty == Certainty::approximate;
  if (old_is && new_is) return R"(,"approximate":["old","new"])";
  if (old_is) return R"(,"approximate":["old"])";
  if (new_is) return R"(,"approximate":["new"])";
  return {};
}

}  // namespace

Result<void> JsonReporter::start(const WatchStart& start) {
  watch_ = start.request;
  type_ = start.type;
  hit_values_.describe(start);
  fmt::format_to(fmt::appender(records_.buffer()), "{}\n", to_line(start_record(start)));
  // Whoever started the watch waits for this line before doing what is to be caught.
  return records_.flush();
}

const JsonReporter::StackText& JsonReporter::text_of(const HitView& view) {
  const auto known = stacks_.find(view.stack.id);
  if (known != stacks_.end()) return known->second;
  if (stacks_.size() >= kMaxStackTexts) stacks_.clear();
  Json place;
  add_access_place(place, place_of(view));
  if (!view.stack.frames.empty()) add_frame_place(place, view.stack.frames.front());
  if (!view.instruction.empty()) place["instruction"] = view.instruction;
  StackText text{more_members(place), more_members({{"stack", frame_records(view.stack.frames)}})};
  return stacks_.emplace(view.stack.id, std::move(text)).first->second;
}

void JsonReporter::append_value(std::string_view name, const MemoryValue& value,
                                const HitValues::Subject& subject) {
  if (value.certainty == Certainty::unknown) return;
  fmt::memory_buffer& buffer = records_.buffer();
  buffer.append(name);
  append_json(buffer, value, type_, subject.known.length);
}

void JsonReporter::append_value_text(std::string_view name, const MemoryValue& value,
                                     const HitValues::Subject& subject,
                                     symbols::AddressNames* names) {
  if (value.certainty == Certainty::unknown) return;
  text_.clear();
  if (!report::append_value_text(text_, value, subject, names)) return;
  records_.buffer().append(name);
  append_quoted(records_.buffer(), std::string_view(text_.data(), text_.size()));
}

void JsonReporter::append_values(const HitView& view, const HitValues::Subject& subject) {
  const Hit& hit = view.hit;
  append_value(R"(,"old":)", hit.old_value, subject);
  append_value(R"(,"new":)", hit.new_value, subject);
  if (may_have_names(subject)) {
    append_value_text(R"(,"old_text":)", hit.old_value, subject, view.names);
    append_value_text(R"(,"new_text":)", hit.new_value, subject, view.names);
  }
  records_.buffer().append(approximate_member(hit));
}

// The hot path: the target is slowed by every hit, and hits that are not written in time are lost.
// An object of the JSON library for each hit costs 11 us with five frames, this 0.65 us
// (bench/report_json, at 2.3 GHz); so the library renders what is new, once for each stack, and
// only numbers are put between.
Result<void> JsonReporter::hit(const HitView& view) {
  const Hit& hit = view.hit;
  const StackText& stack = text_of(view);
  fmt::memory_buffer& buffer = records_.buffer();
  const fmt::appender out(buffer);
  fmt::format_to(out, FMT_COMPILE(R"({{"type":"hit","time_ns":{},"pid":{},"tid":{})"),
                 hit.time.value, hit.pid.value, hit.tid.value);
  append_text_member(buffer, R"(,"comm":)", name_of_thread(hit));
  fmt::format_to(out, FMT_COMPILE(R"(,"cpu":{},"address":"{:#x}","length":{},"access":"{}")"),
                 hit.cpu.value, hit.address.value(), hit.length.value, name_of(hit.access));
  const HitValues::Subject subject = hit_values_.subject_of(view);
  append_text_member(buffer, R"(,"member":)", subject.member);
  buffer.append(stack.place);
  append_values(view, subject);
  buffer.append(stack.frames);
  buffer.append(std::string_view("}\n"));
  return records_.settle();
}

Result<void> JsonReporter::lost(std::uint64_t count) {
  fmt::format_to(fmt::appender(records_.buffer()), "{}\n", to_line(lost_record(count)));
  return records_.settle();
}

Result<void> JsonReporter::cpu(const CpuEventView& event) {
  fmt::format_to(fmt::appender(records_.buffer()), "{}\n", to_line(cpu_record(event)));
  return records_.settle();
}

Result<void> JsonReporter::end(const WatchEnd& end) {
  fmt::format_to(fmt::appender(records_.buffer()), "{}\n", to_line(end_record(end)));
  return records_.flush();
}

}  // namespace trapline::report
