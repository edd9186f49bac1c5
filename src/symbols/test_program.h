// For tests: a program of testdata/ that says itself where its variables are.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "trapline/base/address.h"
#include "trapline/base/units.h"

namespace trapline::symbols {

// What it says of one variable.
struct Truth {
  std::string kind;
  std::string expression;
  std::uint64_t address = 0;
  std::uint64_t length = 0;
};

// A running program, until destruction.
class Program {
 public:
  // `prepare` runs in the child before the program; false gives up.
  explicit Program(
      const std::string& path, const std::function<bool()>& prepare = [] { return true; }) {
    std::array<int, 2> input{};
    std::array<int, 2> output{};
    // Not inherited by the next program, which would keep this one from ending.
    if (::pipe2(input.data(), O_CLOEXEC) != 0 || ::pipe2(output.data(), O_CLOEXEC) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      if (!prepare()) ::_exit(126);
      ::dup2(input[0], STDIN_FILENO);
      ::dup2(output[1], STDOUT_FILENO);
      ::execl(path.c_str(), path.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(input[0]);
    ::close(output[1]);
    stop_ = input[1];
    read_truths(output[0]);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() {
    ::close(stop_);
    ::waitpid(pid_, nullptr, 0);
  }

  [[nodiscard]] bool runs() const { return !truths_.empty(); }
  [[nodiscard]] ProcessId pid() const { return ProcessId{pid_}; }
  [[nodiscard]] const std::vector<Truth>& truths() const { return truths_; }
  [[nodiscard]] std::uint64_t address_of(const std::string& expression) const {
    for (const Truth& truth : truths_) {
      if (truth.expression == expression) return truth.address;
    }
    ADD_FAILURE() << "the program does not tell of " << expression;
    return 0;
  }
  template <typename T>
  [[nodiscard]] std::optional<T> read(RemoteAddress address) const {
    const int fd = ::open(fmt::format("/proc/{}/mem", pid_).c_str(), O_RDONLY | O_CLOEXEC);
    T value{};
    const ssize_t count = ::pread(fd, &value, sizeof value, static_cast<off_t>(address.value()));
    ::close(fd);
    if (count != static_cast<ssize_t>(sizeof value)) return std::nullopt;
    return value;
  }

 private:
  void read_truths(int fd) {
    FILE* const stream = ::fdopen(fd, "r");
    if (stream == nullptr) return;
    std::array<char, 512> text{};
    while (std::fgets(text.data(), text.size(), stream) != nullptr) {
      std::array<char, 32> kind{};
      std::array<char, 128> expression{};
      unsigned long address = 0;
      unsigned long length = 0;
      if (std::sscanf(text.data(), "%31s\t%127[^\t]\t%lx\t%lu", kind.data(), expression.data(),
                      &address, &length) != 4)
        break;
      truths_.push_back({kind.data(), expression.data(), address, length});
    }
    std::fclose(stream);
  }

  pid_t pid_ = -1;
  int stop_ = -1;
  std::vector<Truth> truths_;
};

}  // namespace trapline::symbols
