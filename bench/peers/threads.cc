#include "bench/peers/threads.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdio>

#include "bench/peers/process.h"
#include "bench/peers/reported_hits.h"

namespace trapline::peers {
namespace {

// One attach, and one end of a watch.
constexpr std::chrono::seconds kPatience{120};

Deadline soon() {
  return std::chrono::steady_clock::now() + kPatience;
}

Failure failure_of(std::string_view what, const std::string& error_file) {
  return {Error{ErrorCode::os_failure},
          fmt::format("{}: {}", what, last_line(text_of(error_file)))};
}

Result<Process> start_idle_threads(const ThreadPlaces& places, std::size_t threads) {
  const std::string errors = places.folder + "/target_error";
  auto target =
      Process::start({places.idle_threads, std::to_string(threads)}, std::nullopt, errors);
  if (!target || target->read_line(soon()) == "ready") return target;
  return std::unexpected(
      failure_of(fmt::format("{} threads could not be started", threads), errors));
}

// From starting the command to the record that says that the watch is installed.
Result<double> attach_once(const ThreadPlaces& places, pid_t target, const std::string& collector) {
  constexpr double kMillisecond = 1e6;
  const std::string errors = places.folder + "/error";
  const Nanoseconds began = monotonic_now();
  auto watch = Process::start({places.trapline, "watch", "counter", "-p", std::to_string(target),
                               "-f", "json", "--collector", collector, "--duration", "0.2"},
                              std::nullopt, errors);
  if (!watch) return std::unexpected(watch.error());
  const auto first = watch->read_line(soon());
  const Nanoseconds installed = monotonic_now();
  watch->read_all(soon(), [](std::string_view) {});
  const auto status = watch->wait(soon());
  if (!status) return std::unexpected(status.error());
  if (*status != 0 || !first || !first->starts_with(R"({"type":"start")"))
    return std::unexpected(failure_of("it did not attach", errors));
  return static_cast<double>(installed.value - began.value) / kMillisecond;
}

struct AttachTimes {
  AttachResult result;
  std::vector<double> milliseconds;
};

void attach_in_turn(const ThreadPlaces& places, const AttachPlan& plan, pid_t target,
                    std::vector<AttachTimes>& times) {
  for (std::size_t round = 0; round < plan.rounds; ++round) {
    for (auto& [result, milliseconds] : times) {
      if (!result.missing.empty()) continue;
      if (const auto time = attach_once(places, target, result.collector)) {
        milliseconds.push_back(*time);
      } else {
        result.missing = time.error().message;
      }
    }
  }
}

Result<std::uint64_t> writes_told_in(const std::string& file) {
  const std::string text = text_of(file);
  std::uint64_t writes = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), writes).ec != std::errc())
    return fail(ErrorCode::os_failure, "the target did not tell how often it wrote");
  return writes;
}

Result<void> watch_writers(const ThreadPlaces& places, const WritersPlan& plan,
                           WritersResult& result) {
  const std::string errors = places.folder + "/error";
  const std::string told = places.folder + "/writes";
  std::remove(told.c_str());
  auto watch = Process::start(
      {places.trapline, "watch", "counter", "--collector", result.collector, "-f", "json", "--",
       places.writers, std::to_string(plan.threads), fmt::format("{}", plan.seconds), told},
      std::nullopt, errors);
  if (!watch) return std::unexpected(watch.error());
  const auto limit = soon() + std::chrono::duration_cast<Deadline::duration>(
                                  std::chrono::duration<double>(plan.seconds));
  TraplineRecords records;
  watch->read_all(limit, [&records](std::string_view piece) { records.add(piece); });
  const auto status = watch->wait(limit);
  if (!status) return std::unexpected(status.error());
  if (*status != 0) return std::unexpected(failure_of("it did not watch", errors));
  const auto reported = records.finish();
  if (!reported) return std::unexpected(reported.error());
  const auto writes = writes_told_in(told);
  if (!writes) return std::unexpected(writes.error());
  result.writes = *writes;
  result.hits = reported->hits;
  result.lost = reported->lost.value_or(0);
  return {};
}

}  // namespace

std::vector<AttachResult> measure_attach(const ThreadPlaces& places, const AttachPlan& plan,
                                         std::span<const CollectorState> collectors) {
  std::vector<AttachTimes> times;
  for (const CollectorState& collector : collectors)
    times.push_back({{collector.name, std::nullopt, collector.reason}, {}});
  const auto target = start_idle_threads(places, plan.threads);
  if (target) attach_in_turn(places, plan, target->pid(), times);
  std::vector<AttachResult> results;
  for (auto& [result, milliseconds] : times) {
    if (!target) result.missing = target.error().message;
    if (result.missing.empty()) result.milliseconds = spread_of(std::move(milliseconds));
    results.push_back(std::move(result));
  }
  return results;
}

std::vector<WritersResult> check_writers(const ThreadPlaces& places, const WritersPlan& plan,
                                         std::span<const CollectorState> collectors) {
  std::vector<WritersResult> results;
  for (const CollectorState& collector : collectors) {
    WritersResult& result = results.emplace_back();
    result.collector = collector.name;
    result.missing = collector.reason;
    if (!result.missing.empty()) continue;
    if (const auto watched = watch_writers(places, plan, result); !watched)
      result.missing = watched.error().message;
  }
  return results;
}

}  // namespace trapline::peers
