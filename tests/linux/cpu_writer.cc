#include "tests/linux/cpu_writer.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>

namespace trapline::testing {

CpuWriter::CpuWriter(unsigned cpu) : process_({CPU_WRITER_PROGRAM, std::to_string(cpu)}) {
  EXPECT_EQ(process_.read_line(), "ready");
}

std::vector<Write> CpuWriter::finish() {
  process_.close_stdin();
  std::istringstream lines(process_.wait().out);
  std::vector<Write> writes;
  for (Write write; lines >> write.value >> write.begin >> write.end >> write.cpu;)
    writes.push_back(write);
  return writes;
}

void expect_none_missed(const std::vector<Write>& writes, const Watch::Result& result) {
  ASSERT_FALSE(result.hits.empty());
  const std::uint64_t first = result.hits.front()["new"];
  EXPECT_EQ(result.hits.size(), writes.size() + 1 - first);
  EXPECT_EQ(result.end["lost"], 0);
}

}  // namespace trapline::testing
