#include "report/json_records.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace trapline::report {
namespace {

using Json = nlohmann::ordered_json;

// Grows when a field changes its meaning or goes away, not when one is added.
constexpr int kVersion = 1;

Json frame_record(const symbols::Frame& frame) {
  Json record;
  record["ip"] = address_text(frame.ip);
  add_frame_place(record, frame);
  if (!frame.module.empty()) record["module"] = frame.module;
  if (frame.inlined) record["inlined"] = true;
  return record;
}

}  // namespace

Json cpu_numbers(const CpuSet& cpus) {
  Json numbers = Json::array();
  cpus.for_each([&](CpuId cpu) { numbers.push_back(cpu.value); });
  return numbers;
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
  record["cpus"] = cpu_numbers(start.cpus);
  record["slots"] = start.slots;
  record["target"] = start.target;
  if (start.began) record["time_ns"] = start.began->value;
  record["notes"] = start.notes;
  return record;
}

Json lost_record(std::uint64_t count) {
  return {{"type", "lost"}, {"count", count}};
}

Json cpu_record(const CpuEventView& event) {
  Json record = {{"type", "cpu"}, {"time_ns", event.time.value}, {"cpu", event.cpu.value}};
  record["event"] = event.is_online ? "online" : "offline";
  if (!event.is_online) return record;
  if (!event.cpu_was_offline) record["cpu_was_offline"] = false;
  if (event.watched) {
    record["gap_ns"] = event.gap.value;
    record["reinstall_ns"] = event.reinstall.value;
  } else {
    record["watched"] = false;
    record["reason"] = event.reason;
  }
  return record;
}

Json end_record(const WatchEnd& end) {
  Json record = {{"type", "end"}, {"hits", end.hits}, {"lost", end.lost}};
  if (end.lost_is_lower_bound) record["lost_is_lower_bound"] = true;
  record["filtered"] = end.filtered;
  record["undecided"] = end.undecided;
  if (end.cpu_changes > 0) record["cpu_changes"] = end.cpu_changes;
  record["gap_ns"] = end.gap.value;
  record["duration_ns"] = end.duration.value;
  record["reason"] = end.reason;
  return record;
}

Json frame_records(std::span<const symbols::Frame> frames) {
  Json records = Json::array();
  for (const symbols::Frame& frame : frames) records.push_back(frame_record(frame));
  return records;
}

void add_access_place(Json& record, const AccessPlace& place) {
  if (place.ip) {
    record["ip"] = address_text(*place.ip);
  } else {
    record["trap_ip"] = address_text(place.trap_ip);
  }
  if (place.in_kernel) record["kernel"] = true;
}

void add_frame_place(Json& record, const symbols::Frame& frame) {
  if (!frame.symbol.empty()) {
    record["symbol"] = frame.symbol;
    // How far into a function that was inlined an instruction lies has no answer.
    if (!frame.inlined) record["offset"] = frame.offset;
  }
  if (!frame.file.empty()) record["file"] = frame.file;
  if (frame.line != 0) record["line"] = frame.line;
}

std::string to_line(const Json& record) {
  return record.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string address_text(RemoteAddress address) {
  return fmt::format("{:#x}", address.value());
}

}  // namespace trapline::report
