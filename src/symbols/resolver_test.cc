// The resolver against running programs that say themselves where their variables are
// (testdata/*.c), and against what the C library of this very process says.
#include "symbols/resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace trapline::symbols {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Plain process_vm_readv: all that following a pointer needs.
class Memory final : public MemoryReader {
 public:
  explicit Memory(ProcessId pid) : pid_(pid) {}
  [[nodiscard]] std::size_t read(RemoteAddress address, std::span<std::byte> destination) override {
    iovec local{destination.data(), destination.size()};
    iovec remote{reinterpret_cast<void*>(address.value()), destination.size()};
    const ssize_t count = ::process_vm_readv(pid_.value, &local, 1, &remote, 1, 0);
    return count < 0 ? 0 : static_cast<std::size_t>(count);
  }

 private:
  ProcessId pid_;
};

struct Truth {
  std::string kind;
  std::string expression;
  std::uint64_t address = 0;
  std::uint64_t length = 0;
};

std::string program_path(const std::string& variant) {
  return std::string(SYMBOLS_TEST_DATA) + "/" + variant + "/program";
}

// A running program, until destruction.
class Program {
 public:
  explicit Program(const std::string& path) {
    std::array<int, 2> input{};
    std::array<int, 2> output{};
    if (::pipe(input.data()) != 0 || ::pipe(output.data()) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(input[0], STDIN_FILENO);
      ::dup2(output[1], STDOUT_FILENO);
      for (const int fd : {input[0], input[1], output[0], output[1]}) ::close(fd);
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

  [[nodiscard]] ProcessId pid() const { return ProcessId{pid_}; }
  [[nodiscard]] const std::vector<Truth>& truths() const { return truths_; }
  [[nodiscard]] std::uint64_t address_of(const std::string& expression) const {
    for (const Truth& truth : truths_) {
      if (truth.expression == expression) return truth.address;
    }
    ADD_FAILURE() << "the program does not tell of " << expression;
    return 0;
  }

 private:
  void read_truths(int fd) {
    FILE* const stream = ::fdopen(fd, "r");
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

std::string kind_name(const ValueType& type) {
  switch (type.kind) {
    case ValueKind::bytes:
      return "bytes";
    case ValueKind::signed_integer:
      return "signed";
    case ValueKind::unsigned_integer:
      return "unsigned";
    case ValueKind::boolean:
      return "boolean";
    case ValueKind::character:
      return "character";
    case ValueKind::floating:
      return "floating";
    case ValueKind::pointer:
      return "pointer";
    case ValueKind::enumeration:
      return "enumeration";
  }
  return "?";
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

std::vector<std::string> variants() {
  std::vector<std::string> names{"gcc_dwarf5",     "gcc_dwarf4",     "gcc_optimised", "gcc_lto",
                                 "gcc_compressed", "gcc_type_units", "gcc_split",     "separate"};
  if (SYMBOLS_TEST_HAVE_CLANG != 0) {
    names.emplace_back("clang_dwarf5");
    names.emplace_back("clang_dwarf4");
  }
  return names;
}

class ResolverOnVariant : public ::testing::TestWithParam<std::string> {};

TEST_P(ResolverOnVariant, AgreesWithTheProgram) {
  Subject subject(GetParam());
  ASSERT_GT(subject.program().truths().size(), 60U) << "the program told too little";
  for (const Truth& truth : subject.program().truths()) {
    SCOPED_TRACE(truth.expression);
    if (truth.kind == "function") {
      const auto function = subject.function(truth.expression);
      if (!function) {
        ADD_FAILURE() << function.error().message;
        continue;
      }
      EXPECT_EQ(function->entry.value(), truth.address);
      continue;
    }
    const auto object = subject.object(truth.expression);
    if (!object) {
      ADD_FAILURE() << object.error().message;
      continue;
    }
    EXPECT_EQ(object->address.value(), truth.address);
    EXPECT_EQ(object->length.value, truth.length);
    EXPECT_EQ(object->type.length, object->length);
    EXPECT_EQ(kind_name(object->type), truth.kind) << object->type.name;
  }
}

TEST_P(ResolverOnVariant, RefusesWhatCannotBeWatched) {
  Subject subject(GetParam());
  EXPECT_THAT(subject.object_error("twice"),
              AllOf(HasSubstr("ambiguous_name: "), HasSubstr("one/util.c:twice"),
                    HasSubstr("two/util.c:twice")));
  EXPECT_THAT(subject.object_error("per_thread"),
              AllOf(HasSubstr("bad_type: "), HasSubstr("thread-local"),
                    HasSubstr("gdb -p TID -batch -ex 'print &per_thread'")));
  EXPECT_THAT(subject.object_error("app::per_thread_cxx"), HasSubstr("thread-local"));
  EXPECT_THAT(subject.object_error("countr"),
              AllOf(HasSubstr("unknown_name: "), HasSubstr("counter")));
  EXPECT_THAT(subject.object_error("cfg.high"),
              AllOf(HasSubstr("bad_type: "), HasSubstr("bit-field")));
}

INSTANTIATE_TEST_SUITE_P(Builds, ResolverOnVariant, ::testing::ValuesIn(variants()),
                         [](const auto& param) { return param.param; });

}  // namespace
}  // namespace trapline::symbols
