// For tests: a running program of testdata/ with its image, asked for names.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "symbols/resolver.h"
#include "symbols/test_program.h"

namespace trapline::symbols {

// All that following a pointer needs.
class Memory final : public MemoryReader {
 public:
  explicit Memory(ProcessId pid)
      : fd_(::open(fmt::format("/proc/{}/mem", pid.value).c_str(), O_RDONLY | O_CLOEXEC)) {}
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() override { ::close(fd_); }
  [[nodiscard]] std::size_t read(RemoteAddress address, std::span<std::byte> destination) override {
    const ssize_t count =
        ::pread(fd_, destination.data(), destination.size(), static_cast<off_t>(address.value()));
    return count < 0 ? 0 : static_cast<std::size_t>(count);
  }

 private:
  int fd_;
};

inline std::string program_path(const std::string& variant) {
  return std::string(SYMBOLS_TEST_DATA) + "/" + variant + "/program";
}

// A program with its image: what every test starts from.
class Subject {
 public:
  explicit Subject(const std::string& variant) : program_(program_path(variant)) { open(); }

  [[nodiscard]] const Program& program() const { return program_; }
  [[nodiscard]] Result<ResolvedObject> object(const std::string& text) {
    const auto expression = parse_expression(text);
    if (!expression) return fail(ErrorCode::bad_syntax, expression.error().reason);
    Memory memory(program_.pid());
    return resolve_object(*image_, memory, *expression);
  }
  [[nodiscard]] Result<ResolvedFunction> function(const std::string& text) {
    const auto expression = parse_expression(text);
    if (!expression) return fail(ErrorCode::bad_syntax, expression.error().reason);
    return resolve_function(*image_, *expression);
  }
  // "unknown_name: ..." or "" if it resolved.
  [[nodiscard]] std::string object_error(const std::string& text) {
    const auto resolved = object(text);
    return resolved ? std::string() : describe(resolved.error());
  }
  [[nodiscard]] std::string function_error(const std::string& text) {
    const auto resolved = function(text);
    return resolved ? std::string() : describe(resolved.error());
  }

 private:
  void open() {
    auto image = ProcessImage::open(program_.pid());
    if (!image) {
      ADD_FAILURE() << image.error().message;
      std::abort();
    }
    image_ = std::move(*image);
  }
  static std::string describe(const Failure& failure) {
    return std::string(name_of(failure.error.code)) + ": " + failure.message;
  }

  Program program_;
  std::unique_ptr<ProcessImage> image_;
};

// Every way of building it that leaves debug information.
inline std::vector<std::string> variants() {
  std::vector<std::string> names{"gcc_dwarf5",     "gcc_dwarf4",     "gcc_optimised", "gcc_lto",
                                 "gcc_compressed", "gcc_type_units", "gcc_split",     "separate"};
  if (SYMBOLS_TEST_HAVE_CLANG != 0) {
    names.emplace_back("clang_dwarf5");
    names.emplace_back("clang_dwarf4");
  }
  return names;
}

}  // namespace trapline::symbols
