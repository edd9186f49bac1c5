// For the tests of this folder: a report kept in memory, and hits to fill it with.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report/output.h"
#include "report/reporter.h"
#include "symbols/address_names.h"
#include "symbols/value_type.h"

namespace trapline::report {

// An anonymous file that an Output writes to.
class MemoryFile {
 public:
  MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile();

  [[nodiscard]] int descriptor() const { return descriptor_; }
  // What was flushed so far.
  [[nodiscard]] std::string text() const;

 private:
  int descriptor_;
};

// Types as the debug information would tell them: a signed number, an enumeration (sorted by
// value), a pointer, a struct or union, an array.
[[nodiscard]] symbols::ValueType number_type(std::uint64_t length);
[[nodiscard]] symbols::ValueType enumeration_type(std::uint64_t length,
                                                  std::vector<symbols::Enumerator> enumerators);
[[nodiscard]] symbols::ValueType pointer_type();
[[nodiscard]] symbols::ValueType structure_type(std::uint64_t length,
                                                std::vector<symbols::ValuePart> parts);
[[nodiscard]] symbols::ValueType array_type(std::uint64_t count, symbols::ValueType element);

// A process with the variables that were added.
class FakeNames final : public symbols::AddressNames {
 public:
  void add(std::uint64_t address, std::uint64_t length, std::string name) {
    variables_.push_back({address, length, std::move(name)});
  }
  [[nodiscard]] std::optional<symbols::AddressName> name_at(RemoteAddress address) override;
  // How often it was asked.
  [[nodiscard]] int questions() const { return questions_; }

 private:
  struct Variable {
    std::uint64_t address = 0;
    std::uint64_t length = 0;
    std::string name;
  };
  std::vector<Variable> variables_;
  int questions_ = 0;
};

// A name padded to a thread's.
void set_comm(Hit& hit, std::string_view name);

// A hit with what it borrows, to be changed field by field: counter, an int at 0x404060, goes from
// 41 to 42 in bump(), called by worker(). Time 1.5 s, pid 10, tid 11, CPU 1.
struct SampleHit {
  SampleHit();
  [[nodiscard]] HitView view() const {
    return {.hit = hit,
            .ip = ip,
            .instruction = instruction,
            .stack = stack,
            .object_start = object_start,
            .accessed = accessed,
            .names = names};
  }

  Hit hit;
  std::optional<RemoteAddress> ip;
  std::string instruction;
  ResolvedStack stack;
  std::optional<RemoteAddress> object_start;
  std::optional<AccessedBytes> accessed;
  symbols::AddressNames* names = nullptr;
};

// The watch that finds it: began at 1 s, on CPUs 0 and 1.
[[nodiscard]] WatchStart sample_start();
// CPU 1 goes offline at 1.6 s; comes online at 1.7 s with a gap of 0.812 ms; is online at 1.7 s and
// cannot be watched.
[[nodiscard]] CpuEventView sample_offline();
[[nodiscard]] CpuEventView sample_online();
[[nodiscard]] CpuEventView sample_unwatched();
// 100 hits in one second.
[[nodiscard]] WatchEnd sample_end();

}  // namespace trapline::report
