#include "report/test_support.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace trapline::report {

MemoryFile::MemoryFile() : descriptor_(::memfd_create("report", MFD_CLOEXEC)) {
  EXPECT_GE(descriptor_, 0);
}

MemoryFile::~MemoryFile() {
  ::close(descriptor_);
}

std::string MemoryFile::text() const {
  std::string text;
  std::array<char, 4096> block{};
  while (true) {
    const ssize_t count =
        ::pread(descriptor_, block.data(), block.size(), static_cast<off_t>(text.size()));
    EXPECT_GE(count, 0);
    if (count <= 0) return text;
    text.append(block.data(), static_cast<std::size_t>(count));
  }
}

symbols::ValueType number_type(std::uint64_t length) {
  return {symbols::ValueKind::signed_integer, ByteCount{length}, "", true};
}

symbols::ValueType enumeration_type(std::uint64_t length,
                                    std::vector<symbols::Enumerator> enumerators) {
  symbols::ValueType type{symbols::ValueKind::enumeration, ByteCount{length}, "", false};
  type.enumerators = std::move(enumerators);
  return type;
}

symbols::ValueType pointer_type() {
  return {symbols::ValueKind::pointer, ByteCount{8}, "", false};
}

symbols::ValueType structure_type(std::uint64_t length, std::vector<symbols::ValuePart> parts) {
  symbols::ValueType type{symbols::ValueKind::bytes, ByteCount{length}, "", false};
  type.parts = std::move(parts);
  return type;
}

symbols::ValueType array_type(std::uint64_t count, symbols::ValueType element) {
  symbols::ValueType type{symbols::ValueKind::bytes, ByteCount{count * element.length.value}, "",
                          false};
  type.element_count = count;
  type.parts.push_back({"", {}, std::move(element)});
  return type;
}

std::optional<symbols::AddressName> FakeNames::name_at(RemoteAddress address) {
  ++questions_;
  for (const Variable& variable : variables_) {
    const std::uint64_t offset = address.value() - variable.address;
    if (offset < variable.length) return symbols::AddressName{variable.name, offset};
  }
  return std::nullopt;
}

void set_comm(Hit& hit, std::string_view name) {
  hit.comm.fill('\0');
  std::ranges::copy(name.substr(0, hit.comm.size()), hit.comm.begin());
}

SampleHit::SampleHit() : ip(0x401188), instruction("mov dword ptr [rip + 0x2ef2], eax") {
  hit.time = Nanoseconds{1'500'000'000};
  hit.pid = ProcessId{10};
  hit.tid = ThreadId{11};
  hit.cpu = CpuId{1};
  set_comm(hit, "app");
  hit.address = RemoteAddress(0x404060);
  hit.length = ByteCount{4};
  hit.access = Access::write;
  hit.trap_ip = RemoteAddress(0x40118e);
  hit.old_value = {41, Certainty::exact};
  hit.new_value = {42, Certainty::exact};
  stack.id = 1;
  stack.frames = {
      {RemoteAddress(0x401188), "bump", 12, "/src/app.c", 42, "app", false},
      {RemoteAddress(0x401210), "worker", 32, "/src/app.c", 60, "app", false},
  };
}

WatchStart sample_start() {
  WatchStart start;
  start.expression = "counter";
  start.request = {RemoteAddress(0x404060), ByteCount{4}, Access::write};
  start.type = {symbols::ValueKind::signed_integer, ByteCount{4}, "int", true};
  start.target = "app (pid 10, 4 threads)";
  start.collector = "perf";
  start.cpus.insert(CpuId{0});
  start.cpus.insert(CpuId{1});
  start.slots = 1;
  start.began = Nanoseconds{1'000'000'000};
  return start;
}

CpuEventView sample_offline() {
  return {.cpu = CpuId{1}, .time = Nanoseconds{1'600'000'000}};
}

CpuEventView sample_online() {
  return {.cpu = CpuId{1},
          .is_online = true,
          .time = Nanoseconds{1'700'000'000},
          .gap = Nanoseconds{812'000},
          .reinstall = Nanoseconds{640'000}};
}

CpuEventView sample_unwatched() {
  return {.cpu = CpuId{1},
          .is_online = true,
          .time = Nanoseconds{1'700'000'000},
          .watched = false,
          .reason = "all 4 debug registers of CPU 1 are taken"};
}

WatchEnd sample_end() {
  WatchEnd end;
  end.hits = 100;
  end.duration = Nanoseconds{1'000'000'000};
  end.reason = "interrupted";
  return end;
}

}  // namespace trapline::report
