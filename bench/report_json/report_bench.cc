// What one hit costs to report, written to a file as `trapline watch -o FILE` does.
//
// JsonLine is the reporter; JsonObjectPerHit is the same line as an object of the JSON library, the
// simpler way that the reporter does without; the ratio of the two is why. Counters: lines and
// bytes per second.
#include <benchmark/benchmark.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "report/json_records.h"
#include "report/json_reporter.h"
#include "report/output.h"
#include "report/stack_table.h"
#include "report/summary_reporter.h"
#include "report/text_reporter.h"

namespace trapline::report {
namespace {

constexpr std::uint64_t kCode = 0x401000;

// A file in memory that starts over when it gets long, so that a benchmark can run for any time.
class Sink {
 public:
  Sink() : descriptor_(::memfd_create("bench", MFD_CLOEXEC)) {}
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;
  ~Sink() { ::close(descriptor_); }

  [[nodiscard]] int descriptor() const { return descriptor_; }
  [[nodiscard]] std::int64_t written() const { return written_ + length(); }
  void start_over_when_long() {
    constexpr off_t kLong = 64L * 1024 * 1024;
    const off_t now = length();
    if (now < kLong) return;
    written_ += now;
    ::lseek(descriptor_, 0, SEEK_SET);
    if (::ftruncate(descriptor_, 0) != 0) std::abort();
  }

 private:
  [[nodiscard]] off_t length() const { return ::lseek(descriptor_, 0, SEEK_CUR); }

  int descriptor_;
  off_t written_ = 0;
};

WatchStart make_start() {
  WatchStart start;
  start.expression = "counter";
  start.request = {RemoteAddress(0x404060), ByteCount{4}, Access::write};
  start.type = {symbols::ValueKind::signed_integer, ByteCount{4}, "int", true};
  start.target = "app (pid 812, 4 threads)";
  start.collector = "perf";
  start.cpus.insert(CpuId{0});
  start.slots = 1;
  return start;
}

ResolvedStack make_stack(std::size_t depth, std::uint64_t id) {
  ResolvedStack stack{id, {}};
  for (std::size_t index = 0; index < depth; ++index) {
    stack.frames.push_back({RemoteAddress(kCode + id * 4096 + index * 64),
                            "app::worker_" + std::to_string(index) + "(app::queue&, int)", 12,
                            "/home/dev/app/src/worker.cc", static_cast<std::uint32_t>(40 + index),
                            "app", false});
  }
  return stack;
}

Hit make_hit() {
  Hit hit;
  hit.time = Nanoseconds{123'456'789'012};
  hit.pid = ProcessId{812};
  hit.tid = ThreadId{815};
  hit.cpu = CpuId{1};
  std::ranges::copy(std::string_view("worker"), hit.comm.begin());
  hit.address = RemoteAddress(0x404060);
  hit.length = ByteCount{4};
  hit.trap_ip = RemoteAddress(kCode);
  hit.old_value = {41, Certainty::exact};
  hit.new_value = {42, Certainty::exact};
  return hit;
}

constexpr std::string_view kInstruction = "mov dword ptr [rip + 0x2ef2], eax";

// Reports one hit an iteration, with `stacks` in turn.
void report_hits(benchmark::State& state, Reporter& reporter, Sink& sink,
                 const std::vector<ResolvedStack>& stacks) {
  bool fine = reporter.start(make_start()).has_value();
  Hit hit = make_hit();
  std::size_t next = 0;
  for ([[maybe_unused]] auto _ : state) {
    ++hit.time.value;
    const ResolvedStack& stack = stacks[next];
    next = next + 1 == stacks.size() ? 0 : next + 1;
    fine = reporter.hit({hit, RemoteAddress(kCode), kInstruction, stack}).has_value() && fine;
    sink.start_over_when_long();
  }
  fine = reporter.flush().has_value() && fine;
  if (!fine) state.SkipWithError("the report could not be written");
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(sink.written());
}

void json_line(benchmark::State& state) {
  Sink sink;
  Output output = Output::borrow(sink.descriptor(), "bench");
  JsonReporter reporter(output);
  report_hits(state, reporter, sink, {make_stack(static_cast<std::size_t>(state.range(0)), 1)});
}
BENCHMARK(json_line)->Name("JsonLine")->ArgName("frames")->Arg(1)->Arg(5)->Arg(20);

// No stack is seen twice before it is forgotten: each is rendered anew.
void json_line_new_stack(benchmark::State& state) {
  Sink sink;
  Output output = Output::borrow(sink.descriptor(), "bench");
  JsonReporter reporter(output);
  std::vector<ResolvedStack> stacks;
  constexpr std::uint64_t kStacks = 20'000;
  for (std::uint64_t id = 1; id <= kStacks; ++id)
    stacks.push_back(make_stack(static_cast<std::size_t>(state.range(0)), id));
  report_hits(state, reporter, sink, stacks);
}
BENCHMARK(json_line_new_stack)->Name("JsonLineNewStack")->ArgName("frames")->Arg(5);

// The same line, built as an object.
class ObjectReporter final : public Reporter {
 public:
  explicit ObjectReporter(Output& records) : records_(records) {}
  Result<void> start(const WatchStart&) override { return {}; }
  Result<void> hit(const HitView& view) override {
    const Hit& hit = view.hit;
    nlohmann::ordered_json record = {{"type", "hit"},
                                     {"time_ns", hit.time.value},
                                     {"pid", hit.pid.value},
                                     {"tid", hit.tid.value},
                                     {"comm", name_of_thread(hit)},
                                     {"cpu", hit.cpu.value},
                                     {"address", address_text(hit.address)},
                                     {"length", hit.length.value},
                                     {"access", name_of(hit.access)}};
    add_access_place(record, place_of(view));
    add_frame_place(record, view.stack.frames.front());
    record["instruction"] = view.instruction;
    record["old"] = hit.old_value.bits;
    record["new"] = hit.new_value.bits;
    record["stack"] = frame_records(view.stack.frames);
    records_.buffer().append(to_line(record));
    records_.buffer().push_back('\n');
    return records_.settle();
  }
  Result<void> lost(std::uint64_t) override { return {}; }
  Result<void> cpu(const CpuEventView&) override { return {}; }
  Result<void> end(const WatchEnd&) override { return {}; }
  Result<void> flush() override { return records_.flush(); }

 private:
  Output& records_;
};

void json_object_per_hit(benchmark::State& state) {
  Sink sink;
  Output output = Output::borrow(sink.descriptor(), "bench");
  ObjectReporter reporter(output);
  report_hits(state, reporter, sink, {make_stack(static_cast<std::size_t>(state.range(0)), 1)});
}
BENCHMARK(json_object_per_hit)
    ->Name("JsonObjectPerHit")
    ->ArgName("frames")
    ->Arg(1)
    ->Arg(5)
    ->Arg(20);

void text_line(benchmark::State& state) {
  Sink sink;
  Sink remarks_sink;
  Output output = Output::borrow(sink.descriptor(), "bench");
  Output remarks = Output::borrow(remarks_sink.descriptor(), "remarks");
  TextReporter reporter(output, remarks, {});
  report_hits(state, reporter, sink, {make_stack(static_cast<std::size_t>(state.range(0)), 1)});
}
BENCHMARK(text_line)->Name("TextLine")->ArgName("frames")->Arg(5);

void summary_hit(benchmark::State& state) {
  Sink sink;
  Output output = Output::borrow(sink.descriptor(), "bench");
  SummaryReporter reporter(output, output, SummaryReporter::Format::json);
  report_hits(state, reporter, sink, {make_stack(static_cast<std::size_t>(state.range(0)), 1)});
}
BENCHMARK(summary_hit)->Name("SummaryHit")->ArgName("frames")->Arg(5);

// A stack that is known, among `stacks` others, asked for in turn.
void stack_lookup(benchmark::State& state) {
  const auto frames = static_cast<std::uint64_t>(state.range(0));
  const auto count = static_cast<std::uint64_t>(state.range(1));
  std::vector<std::vector<RemoteAddress>> stacks(count);
  for (std::uint64_t stack = 0; stack < count; ++stack) {
    for (std::uint64_t frame = 1; frame < frames; ++frame)
      stacks[stack].emplace_back(kCode + frame * 64 + stack * 16);
  }
  StackTable table(count);
  std::uint64_t sum = 0;
  std::size_t next = 0;
  for ([[maybe_unused]] auto _ : state) {
    const StackKey key{.trap_ip = RemoteAddress(kCode + 6),
                       .culprit_ip = RemoteAddress(kCode),
                       .callers = stacks[next]};
    next = next + 1 == stacks.size() ? 0 : next + 1;
    sum += table.find_or_resolve(key, [](const StackKey&) { return std::vector<symbols::Frame>(); })
               .id;
  }
  benchmark::DoNotOptimize(sum);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(stack_lookup)
    ->Name("StackLookup")
    ->ArgNames({"frames", "stacks"})
    ->Args({10, 1})
    ->Args({10, 100})
    ->Args({10, 4000})
    ->Args({100, 100});

}  // namespace
}  // namespace trapline::report
