// The walk over all of this program's own code, against objdump.
#include "decode/instruction_walk.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <random>
#include <span>
#include <string_view>
#include <vector>

namespace trapline::decode {
namespace {

class OwnMemory final : public MemoryReader {
 public:
  std::size_t read(RemoteAddress address, std::span<std::byte> destination) override {
    std::memcpy(destination.data(), reinterpret_cast<const void*>(address.value()),
                destination.size());
    return destination.size();
  }
};

struct Function {
  std::vector<std::uint64_t> instructions;  // in the file
};

// "0000000000001234 <name>:" begins a function, "    1234:\tmov ..." is one of its instructions. A
// function's last instruction gives its end by being left out.
std::vector<Function> disassemble_self() {
  FILE* const stream = ::popen("objdump -d -j .text --no-show-raw-insn /proc/$PPID/exe", "r");
  std::vector<Function> functions;
  std::array<char, 4096> line{};
  while (std::fgets(line.data(), line.size(), stream) != nullptr) {
    unsigned long address = 0;
    char mark = 0;
    if (line[0] != ' ' && std::string_view(line.data()).ends_with(">:\n")) {
      functions.emplace_back();
    } else if (!functions.empty() && std::sscanf(line.data(), " %lx%c\t", &address, &mark) == 2 &&
               mark == ':') {
      functions.back().instructions.push_back(address);
    }
  }
  ::pclose(stream);
  return functions;
}

std::uint64_t load_address() {
  Dl_info info{};
  ::dladdr(reinterpret_cast<const void*>(&load_address), &info);
  return reinterpret_cast<std::uintptr_t>(info.dli_fbase);
}

TEST(InstructionWalk, EveryInstructionIsFoundFromItsEndInAnyOrder) {
  const std::vector<Function> functions = disassemble_self();
  ASSERT_GT(functions.size(), 50U);
  OwnMemory memory;
  Disassembler disassembler;
  InstructionWalk walk(memory, disassembler);
  const std::uint64_t base = load_address();
  std::mt19937 random(1);
  std::size_t checked = 0;
  for (const Function& function : functions) {
    const auto& starts = function.instructions;
    if (starts.size() < 2) continue;
    const CodeRange range{RemoteAddress(base + starts.front()),
                          RemoteAddress(base + starts.back())};
    std::vector<std::size_t> order;
    for (std::size_t index = 1; index < starts.size(); ++index) order.push_back(index);
    std::ranges::shuffle(order, random);
    for (const std::size_t index : order) {
      const RemoteAddress end(base + starts[index]);
      ASSERT_EQ(walk.instruction_before(range, end), RemoteAddress(base + starts[index - 1]))
          << std::hex << starts[index];
      ++checked;
      // Nothing ends inside an instruction.
      if (starts[index] - starts[index - 1] > 1) {
        ASSERT_EQ(walk.instruction_before(range, end - ByteCount{1}), std::nullopt);
      }
    }
  }
  EXPECT_GT(checked, 5000U);
}

TEST(InstructionWalk, OutsideTheFunctionNothingIsFound) {
  OwnMemory memory;
  Disassembler disassembler;
  InstructionWalk walk(memory, disassembler);
  const std::array<unsigned char, 4> code{0x90, 0x90, 0x90, 0xc3};
  const RemoteAddress start = RemoteAddress::of_local(code.data());
  const CodeRange range{start, start + ByteCount{3}};
  EXPECT_EQ(walk.instruction_before(range, start), std::nullopt);
  EXPECT_EQ(walk.instruction_before(range, start + ByteCount{3}), start + ByteCount{2});
  EXPECT_EQ(walk.instruction_before(range, start + ByteCount{4}), std::nullopt);
}

TEST(InstructionWalk, FunctionsTooLongToWalkAreUnknown) {
  std::vector<unsigned char> code((std::size_t{1} << 20) + 16, 0x90);
  OwnMemory memory;
  Disassembler disassembler;
  InstructionWalk walk(memory, disassembler);
  const RemoteAddress start = RemoteAddress::of_local(code.data());
  const CodeRange range{start, start + ByteCount{code.size()}};
  EXPECT_EQ(walk.instruction_before(range, start + ByteCount{std::size_t{1} << 20}),
            start + ByteCount{(std::size_t{1} << 20) - 1});
  EXPECT_EQ(walk.instruction_before(range, range.end), std::nullopt);
}

}  // namespace
}  // namespace trapline::decode
