#include "bench/peers/tool_runner.h"

#include <fmt/format.h>

#include <array>
#include <fstream>

#include "bench/peers/process.h"

namespace trapline::peers {
namespace {

Result<ReportedHits> count_records(const std::string& file) {
  constexpr std::size_t kPiece = 65536;
  std::ifstream stream(file, std::ios::binary);
  std::array<char, kPiece> piece{};
  TraplineRecords records;
  while (stream.read(piece.data(), piece.size()) || stream.gcount() > 0)
    records.add({piece.data(), static_cast<std::size_t>(stream.gcount())});
  return records.finish();
}

}  // namespace

std::string ToolRunner::file(std::string_view name) const {
  return fmt::format("{}/{}", places_.folder, name);
}

Result<std::string> ToolRunner::program_of(const Tool& tool) const {
  if (tool.kind != Kind::trapline) {
    auto found = find_program(std::string(tool.program));
    if (found) return std::move(*found);
    return fail(ErrorCode::not_supported, fmt::format("{} is not installed", tool.program));
  }
  for (const CollectorState& collector : collectors_) {
    if (collector.name == tool.collector && !collector.fires)
      return fail(ErrorCode::not_supported, collector.reason);
  }
  return places_.trapline;
}

Result<ReportedHits> ToolRunner::count(const Tool& tool, const std::string& program) const {
  const std::string out = file("out");
  switch (tool.source) {
    case CountSource::perf_stat:
      return from_perf_stat(text_of(out));
    case CountSource::perf_data: {
      const auto time = time_of({program, "report", "--stdio", "--stats", "-i", out}, file("stats"),
                                file("error"), limit_);
      if (!time) return std::unexpected(time.error());
      return from_perf_report(text_of(file("stats")));
    }
    case CountSource::bpftrace_counts:
      return from_bpftrace_counts(text_of(out));
    case CountSource::bpftrace_values:
      return from_bpftrace_values(text_of(out));
    case CountSource::gdb:
      return from_gdb(text_of(file("terminal")));
    case CountSource::lldb:
      return from_lldb(text_of(file("terminal")));
    case CountSource::trapline_records:
      break;
  }
  return count_records(out);
}

Result<Run> ToolRunner::run(const Tool& tool, std::uint64_t writes) {
  const auto program = program_of(tool);
  if (!program) return std::unexpected(program.error());
  std::ofstream(file("script")) << tool.script;
  std::ofstream(file("out"));  // no tool's count is taken from another's file
  const auto command = command_line(tool, *program,
                                    {.address = places_.address,
                                     .loop = places_.loop,
                                     .writes = writes,
                                     .out = file("out"),
                                     .script = file("script")});
  const auto time = time_of(command, file("terminal"), file("error"), limit_);
  if (!time) return std::unexpected(time.error());
  const auto reported = count(tool, *program);
  if (!reported) return std::unexpected(reported.error());
  return Run{*time, *reported};
}

}  // namespace trapline::peers
