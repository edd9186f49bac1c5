#include "report/json_reporter.h"

#include <cstring>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>

#include "report/value_text.h"

namespace trapline::report {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr std::size_t kMaxStackTexts = 8192;

std::string quote(std::string_view text) {
  return to_line(Json(std::string(text)));
}

// The fields that say where code is, in a hit and in a frame alike.
void add_place(Json& record, const symbols::Frame& frame) {
  if (!frame.symbol.empty()) {
    record["symbol"] = frame.symbol;
    if (!frame.inlined) record["offset"] = frame.offset;
  }
  if (!frame.file.empty()) record["file"] = frame.file;
  if (frame.line != 0) record["line"] = frame.line;
}

// `"a":1,"b":2` of `{"a":1,"b":2}`, with a comma in front if there is anything.
std::string members_of(const Json& record) {
  const std::string text = to_line(record);
  return record.empty() ? std::string() : "," + text.substr(1, text.size() - 2);
}

}  // namespace

std::string to_line(const Json& record) {
  return record.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string address_text(RemoteAddress address) {
  return fmt::format("{:#x}", address.value());
}

Json frame_record(const symbols::Frame& frame) {
  Json record;
  record["ip"] = address_text(frame.ip);
  add_place(record, frame);
  if (!frame.module.empty()) record["module"] = frame.module;
  if (frame.inlined) record["inlined"] = true;
  return record;
}

Json start_record(const WatchStart& start) {
  Json record;
  record["type"] = "start";
  record["version"] = kVersion;
  record["watch"] = {{"expression", start.expression},
                     {"address", address_text(start.request.address)},
                     {"length", start.request.length.value},
                     {"access", name_of(start.request.access)}};
  if (!start.type.name.empty()) record["watch"]["type"] = start.type.name;
  record["collector"] = start.collector;
  record["cpus"] = Json::array();
  start.cpus.for_each([&](CpuId cpu) { record["cpus"].push_back(cpu.value); });
  record["slots"] = start.slots;
  record["target"] = start.target;
  record["notes"] = start.notes;
  return record;
}

Json end_record(const WatchEnd& end) {
  Json record;
  record["type"] = "end";
  record["hits"] = end.hits;
  record["lost"] = end.lost;
  record["filtered"] = end.filtered;
  record["undecided"] = end.undecided;
  record["gap_ns"] = end.gap.value;
  record["duration_ns"] = end.duration.value;
  record["reason"] = end.reason;
  return record;
}

Result<void> JsonReporter::start(const WatchStart& start) {
  type_ = start.type;
  fmt::format_to(std::back_inserter(records_.buffer()), "{}\n", to_line(start_record(start)));
  // Whoever started the watch waits for this line before doing what is to be caught.
  return records_.flush();
}

const JsonReporter::StackText& JsonReporter::text_of(const ResolvedStack& stack) {
  if (const auto known = stacks_.find(stack.id); known != stacks_.end()) return known->second;
  if (stacks_.size() >= kMaxStackTexts) stacks_.clear();
  StackText text;
  Json frames = Json::array();
  for (const symbols::Frame& frame : stack.frames) frames.push_back(frame_record(frame));
  text.frames = to_line(frames);
  if (!stack.frames.empty()) {
    Json place = Json::object();
    add_place(place, stack.frames.front());
    text.culprit = members_of(place);
  }
  return stacks_.emplace(stack.id, std::move(text)).first->second;
}

void JsonReporter::append_values(const Hit& hit) {
  fmt::memory_buffer& buffer = records_.buffer();
  std::string_view approximate;
  const auto append = [&](std::string_view name, const MemoryValue& value) {
    if (value.certainty == Certainty::unknown) return;
    fmt::format_to(std::back_inserter(buffer), ",\"{}\":", name);
    append_json(buffer, value, type_);
  };
  append("old", hit.old_value);
  append("new", hit.new_value);
  const bool old_is = hit.old_value.certainty == Certainty::approximate;
  const bool new_is = hit.new_value.certainty == Certainty::approximate;
  if (old_is && new_is) {
    approximate = R"(,"approximate":["old","new"])";
  } else if (old_is) {
    approximate = R"(,"approximate":["old"])";
  } else if (new_is) {
    approximate = R"(,"approximate":["new"])";
  }
  buffer.append(approximate);
}

// The hot path: up to 100 000 hits a second while the target runs on the other CPUs. Building a
// JSON object for each costs 5 to 10 us (bench/report measures it); so only what is new is built
// with the library, once for each stack, and the numbers are put between.
Result<void> JsonReporter::hit(const HitView& view) {
  const Hit& hit = view.hit;
  fmt::memory_buffer& buffer = records_.buffer();
  const auto out = std::back_inserter(buffer);
  const std::string_view comm(hit.comm.data(), ::strnlen(hit.comm.data(), hit.comm.size()));
  fmt::format_to(
      out,
      R"({{"type":"hit","time_ns":{},"pid":{},"tid":{},"comm":{},"cpu":{},"address":"{:#x}","length":{},)",
      hit.time.value, hit.pid.value, hit.tid.value, quote(comm), hit.cpu.value, hit.address.value(),
      hit.length.value);
  fmt::format_to(out, R"("access":"{}")", name_of(hit.access));
  if (view.ip) {
    fmt::format_to(out, R"(,"ip":"{:#x}")", view.ip->value());
  } else {
    fmt::format_to(out, R"(,"trap_ip":"{:#x}")", hit.trap_ip.value());
  }
  if (hit.in_kernel) buffer.append(std::string_view(R"(,"kernel":true)"));
  const StackText& stack = text_of(view.stack);
  buffer.append(stack.culprit);
  if (!view.instruction.empty())
    fmt::format_to(out, R"(,"instruction":{})", quote(view.instruction));
  append_values(hit);
  fmt::format_to(out, ",\"stack\":{}}}\n", stack.frames);
  return records_.settle();
}

Result<void> JsonReporter::lost(std::uint64_t count) {
  fmt::format_to(std::back_inserter(records_.buffer()), "{{\"type\":\"lost\",\"count\":{}}}\n",
                 count);
  return records_.settle();
}

Result<void> JsonReporter::end(const WatchEnd& end) {
  fmt::format_to(std::back_inserter(records_.buffer()), "{}\n", to_line(end_record(end)));
  return records_.flush();
}

}  // namespace trapline::report
