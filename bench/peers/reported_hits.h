// How many hits a tool says it saw, read from what it printed or wrote. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/failure.h"

namespace trapline::peers {

struct ReportedHits {
  std::uint64_t hits = 0;
  std::optional<std::uint64_t> lost;  // nullopt: the tool says nothing of losses

  friend bool operator==(const ReportedHits&, const ReportedHits&) = default;
};

// `perf stat -x,`: the one counter. Errors: bad_syntax if it was not counted.
[[nodiscard]] Result<ReportedHits> from_perf_stat(std::string_view text);
// `perf report --stdio --stats`: samples of the event. perf adds up what the kernel counted as lost
// since Linux 6.0; it prints no line where that is nothing. Errors: bad_syntax.
[[nodiscard]] Result<ReportedHits> from_perf_report(std::string_view text);
// bpftrace: the sum of a map of counts; the lines that hold a value. Both: what it says it lost.
[[nodiscard]] ReportedHits from_bpftrace_counts(std::string_view text);
[[nodiscard]] ReportedHits from_bpftrace_values(std::string_view text);
// gdb shows the value before at each stop; lldb says that it went on by its watchpoint's command.
[[nodiscard]] ReportedHits from_gdb(std::string_view text);
[[nodiscard]] ReportedHits from_lldb(std::string_view text);

// The JSON lines of `trapline watch`, in pieces of any size: they are long, and there is a pipe.
class TraplineRecords {
 public:
  void add(std::string_view piece);
  // Hits, and those rejected by --when, as the last record gives them: they were seen, too. Errors:
  // bad_syntax if the last record is not an `end`, if it says that losses could not be counted, or
  // if there are hit records, but not as many as it says.
  [[nodiscard]] Result<ReportedHits> finish() const;

 private:
  void take_line();

  std::string line_;
  std::string last_line_;
  std::uint64_t hit_lines_ = 0;
};

}  // namespace trapline::peers
