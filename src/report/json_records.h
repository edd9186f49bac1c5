// The records that every JSON report has, and the pieces of the others: docs/json.md describes
// every field. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "report/reporter.h"
#include "symbols/symbolizer.h"
#include "trapline/base/address.h"
#include "trapline/base/cpu_set.h"

namespace trapline::report {

[[nodiscard]] nlohmann::ordered_json start_record(const WatchStart& start);
[[nodiscard]] nlohmann::ordered_json lost_record(std::uint64_t count);
[[nodiscard]] nlohmann::ordered_json cpu_record(const CpuEventView& event);
[[nodiscard]] nlohmann::ordered_json end_record(const WatchEnd& end);
[[nodiscard]] nlohmann::ordered_json frame_records(std::span<const symbols::Frame> frames);

// [0,1]
[[nodiscard]] nlohmann::ordered_json cpu_numbers(const CpuSet& cpus);

// Adds which instruction it was: "ip" or "trap_ip", and "kernel".
void add_access_place(nlohmann::ordered_json& record, const AccessPlace& place);
// Adds what is known of where `frame` is: "symbol", "offset", "file", "line".
void add_frame_place(nlohmann::ordered_json& record, const symbols::Frame& frame);

// One line, without its line feed. Text that is not UTF-8 (a thread's name can be anything) gets
// replacement characters.
[[nodiscard]] std::string to_line(const nlohmann::ordered_json& record);
// "0x401188"
[[nodiscard]] std::string address_text(RemoteAddress address);

}  // namespace trapline::report
