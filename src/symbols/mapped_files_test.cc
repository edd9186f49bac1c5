// Against running programs that say themselves where their variables are (testdata/*.c), started
// twice so that each lies elsewhere.
#include "symbols/mapped_files.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "symbols/test_program.h"

namespace trapline::symbols {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::filesystem::path variant_path(const std::string& variant) {
  return std::filesystem::path(SYMBOLS_TEST_DATA) / variant;
}
std::string program_path(const std::string& variant = "gcc_dwarf5") {
  return variant_path(variant) / "program";
}

// A folder for one test.
class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "mapped-XXXXXX").string();
    path_ = std::filesystem::canonical(::mkdtemp(pattern.data()));
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  // The program finds its library where it was built.
  [[nodiscard]] std::filesystem::path copy_program(const std::string& name) const {
    std::filesystem::copy_file(program_path(), path_ / name);
    return path_ / name;
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::string describe(const Failure& failure) {
  return std::string(name_of(failure.error.code)) + ": " + failure.message;
}

MappedFile identified(const std::string& name) {
  const auto file = identify_file(name);
  EXPECT_TRUE(file) << file.error().message;
  return file.value_or(MappedFile{});
}

std::string identify_error(const std::string& name) {
  const auto file = identify_file(name);
  return file ? "found " + file->path : describe(file.error());
}

Result<FileVariable> find(const MappedFile& file, const std::string& text) {
  const auto expression = parse_expression(text);
  if (!expression) return fail(ErrorCode::bad_syntax, expression.error().reason);
  return find_file_variable(file, *expression);
}

std::string find_error(const MappedFile& file, const std::string& text) {
  const auto variable = find(file, text);
  return variable ? "" : describe(variable.error());
}

std::vector<FileMapping> mappings_in(const MappedFile& file, ProcessId pid) {
  auto found = find_mappings(file).mappings;
  std::erase_if(found, [&](const FileMapping& mapping) { return mapping.pid != pid; });
  return found;
}

bool has_random_addresses() {
  int level = 0;
  std::ifstream("/proc/sys/kernel/randomize_va_space") >> level;
  return level > 0;
}

TEST(MappedFiles, EachProcessHasTheFileAtItsOwnAddress) {
  const Program one(program_path());
  const Program two(program_path());
  const MappedFile file = identified(program_path());
  EXPECT_TRUE(file.is_position_independent);
  const auto first = mappings_in(file, one.pid());
  const auto second = mappings_in(file, two.pid());
  ASSERT_THAT(first, SizeIs(1));
  ASSERT_THAT(second, SizeIs(1));
  EXPECT_EQ(std::filesystem::path(first[0].path), program_path());
  if (has_random_addresses()) {
    EXPECT_NE(first[0].start, second[0].start);
  }

  const auto matrix = find(file, "matrix[1][0]");
  ASSERT_TRUE(matrix) << matrix.error().message;
  EXPECT_TRUE(matrix->position_independent);
  EXPECT_EQ(matrix->length.value, sizeof(int));
  EXPECT_EQ(matrix->type.name, "int");
  EXPECT_EQ(one.read<int>(address_in(first[0], *matrix)), 3);
  EXPECT_EQ(two.read<int>(address_in(second[0], *matrix)), 3);
  const auto ratio = find(file, "ratio");
  ASSERT_TRUE(ratio) << ratio.error().message;
  EXPECT_EQ(one.read<double>(address_in(first[0], *ratio)), 0.5);
  EXPECT_EQ(two.read<double>(address_in(second[0], *ratio)), 0.5);
}

class FileVariables : public ::testing::TestWithParam<std::string> {};

// What the program tells of itself is what the file alone tells, except for what a pointer leads
// to.
TEST_P(FileVariables, AreWhereTheProgramHasThem) {
  const Program program(program_path(GetParam()));
  const MappedFile file = identified(program_path(GetParam()));
  const auto mappings = mappings_in(file, program.pid());
  ASSERT_THAT(mappings, SizeIs(1));
  std::size_t found = 0;
  for (const Truth& truth : program.truths()) {
    const bool is_the_librarys = truth.expression.find("library") != std::string::npos ||
                                 truth.expression.find("libvariables") != std::string::npos ||
                                 truth.expression.ends_with("shared_counter");
    if (truth.kind == "function" || is_the_librarys) continue;
    SCOPED_TRACE(truth.expression);
    const auto variable = find(file, truth.expression);
    if (!variable) {
      EXPECT_THAT(describe(variable.error()),
                  AllOf(HasSubstr("bad_type"), HasSubstr("through a pointer")));
      continue;
    }
    ++found;
    EXPECT_EQ(address_in(mappings[0], *variable).value(), truth.address);
    EXPECT_EQ(variable->length.value, truth.length);
  }
  EXPECT_GT(found, 45U);
}

INSTANTIATE_TEST_SUITE_P(Builds, FileVariables,
                         ::testing::Values("gcc_dwarf5", "gcc_dwarf4", "gcc_lto", "gcc_split",
                                           "separate"),
                         [](const auto& param) { return param.param; });

TEST(MappedFiles, AProgramOfFixedAddressHasItWithoutAnyProcess) {
  const MappedFile file = identified(program_path("gcc_dwarf4"));
  EXPECT_FALSE(file.is_position_independent);
  const auto variable = find(file, "matrix[1][1]");
  ASSERT_TRUE(variable) << variable.error().message;
  EXPECT_FALSE(variable->position_independent);
  const Program program(program_path("gcc_dwarf4"));
  EXPECT_EQ(program.read<int>(linked_address(file, *variable)), 4);
  const auto mappings = mappings_in(file, program.pid());
  ASSERT_THAT(mappings, SizeIs(1));
  EXPECT_EQ(address_in(mappings[0], *variable), linked_address(file, *variable));
}

TEST(MappedFiles, ALibraryIsFoundInTheProgramsThatUseIt) {
  const Program one(program_path());
  const Program two(program_path());
  const MappedFile file = identified(variant_path("gcc_dwarf5") / "libvariables.so");
  const auto variable = find(file, "library_static");
  ASSERT_TRUE(variable) << variable.error().message;
  EXPECT_THAT(variable->notes, IsEmpty());
  for (const Program* const program : {&one, &two}) {
    const auto mappings = mappings_in(file, program->pid());
    ASSERT_THAT(mappings, SizeIs(1));
    EXPECT_EQ(address_in(mappings[0], *variable).value(), program->address_of("library_static"));
    EXPECT_EQ(program->read<long>(address_in(mappings[0], *variable)), 6);
  }
}

// The program's is used in its stead: an address that nobody writes to.
TEST(MappedFiles, AnExportedVariableMayBeCopied) {
  const MappedFile file = identified(variant_path("gcc_dwarf5") / "libvariables.so");
  const auto variable = find(file, "shared_counter");
  ASSERT_TRUE(variable) << variable.error().message;
  EXPECT_THAT(variable->notes, ElementsAre(HasSubstr("copy relocation")));
}

TEST(MappedFiles, ALibraryLoadedTwiceIsListedTwice) {
  const std::string path = variant_path("gcc_dwarf5") / "libvariables.so";
  const MappedFile file = identified(path);
  const ProcessId self{::getpid()};
  EXPECT_THAT(mappings_in(file, self), IsEmpty());
  void* const first = ::dlmopen(LM_ID_NEWLM, path.c_str(), RTLD_NOW);
  void* const second = ::dlmopen(LM_ID_NEWLM, path.c_str(), RTLD_NOW);
  ASSERT_NE(first, nullptr);
  ASSERT_NE(second, nullptr);
  const auto variable = find(file, "shared_counter");
  ASSERT_TRUE(variable) << variable.error().message;
  std::vector<RemoteAddress> addresses;
  for (const FileMapping& mapping : mappings_in(file, self))
    addresses.push_back(address_in(mapping, *variable));
  EXPECT_THAT(addresses, ::testing::UnorderedElementsAre(
                             RemoteAddress::of_local(::dlsym(first, "shared_counter")),
                             RemoteAddress::of_local(::dlsym(second, "shared_counter"))));
  ::dlclose(second);
  EXPECT_THAT(mappings_in(file, self), SizeIs(1));
  ::dlclose(first);
  EXPECT_THAT(mappings_in(file, self), IsEmpty());
}

TEST(MappedFiles, AFileThatIsOnlyReadIsNotLoaded) {
  const Folder folder;
  const std::string path = folder.copy_program("only-read");
  const MappedFile file = identified(path);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const auto size = static_cast<std::size_t>(std::filesystem::file_size(path));
  // As libelf maps what it reads.
  void* const plain = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  void* const writable = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  ASSERT_NE(plain, MAP_FAILED);
  ASSERT_NE(writable, MAP_FAILED);
  EXPECT_THAT(find_mappings(file).mappings, IsEmpty());
  ::munmap(plain, size);
  ::munmap(writable, size);
  ::close(fd);
}

// As programs do that move their code into large pages.
TEST(MappedFiles, AFileIsLoadedAlsoIfItsCodeHasMoved) {
  const std::string path = variant_path("gcc_dwarf5") / "libvariables.so";
  const MappedFile file = identified(path);
  void* const library = ::dlmopen(LM_ID_NEWLM, path.c_str(), RTLD_NOW);
  ASSERT_NE(library, nullptr);
  const auto before = mappings_in(file, ProcessId{::getpid()});
  ASSERT_THAT(before, SizeIs(1));
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  // Not in this process, which calls the library's code once more when it ends.
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const std::uint64_t bias = before[0].start.value() - file.linked_start();
    for (const LoadSegment& segment : file.segments) {
      if (!segment.is_executable) continue;
      const std::uint64_t start = (bias + segment.address) / page * page;
      const std::uint64_t end = bias + segment.address + segment.memory_size;
      // NOLINTNEXTLINE(performance-no-int-to-ptr): from /proc/self/maps.
      if (::mmap(reinterpret_cast<void*>(start), end - start, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        ::_exit(2);
    }
    const auto after = mappings_in(file, ProcessId{::getpid()});
    ::_exit(after.size() == 1 && after[0].start == before[0].start ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ::dlclose(library);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// Another run of these tests may be under way.
std::string unique_name(const std::string& name) {
  return fmt::format("{}-{}", name, ::getpid());
}

TEST(MappedFiles, ARunningFileIsKnownByTheTailOfItsPath) {
  const Folder folder;
  const std::string name = unique_name("tail");
  const std::string path = folder.copy_program(name);
  EXPECT_THAT(identify_error(name), AllOf(HasSubstr("unknown_name: there is no file tail-"),
                                          HasSubstr("no process runs")));
  const Program program(path);
  ASSERT_TRUE(program.runs());
  EXPECT_EQ(identified(name).path, path);
  EXPECT_EQ(identified(folder.path().filename() / name).path, path);
  EXPECT_THAT(identify_error(name.substr(1)), HasSubstr("unknown_name"));
}

TEST(MappedFiles, FilesOfOneNameAreListed) {
  const Folder one;
  const Folder two;
  const std::string name = unique_name("same");
  const std::string first = one.copy_program(name);
  const std::string second = two.copy_program(name);
  const Program a(first);
  const Program b(second);
  const Program again(second);
  EXPECT_THAT(identify_error(name),
              AllOf(HasSubstr("ambiguous_name: same-"), HasSubstr("is the name of 2 files"),
                    HasSubstr(first), HasSubstr(second)));
  const MappedFile file = identified(second);
  EXPECT_THAT(mappings_in(file, a.pid()), IsEmpty());
  EXPECT_THAT(mappings_in(file, b.pid()), SizeIs(1));
  EXPECT_THAT(mappings_in(file, again.pid()), SizeIs(1));
}

TEST(MappedFiles, ARenamedFileIsStillTheSame) {
  const Folder folder;
  const std::string path = folder.copy_program("before");
  const Program program(path);
  const std::string renamed = folder.path() / "after";
  std::filesystem::rename(path, renamed);
  EXPECT_THAT(mappings_in(identified(renamed), program.pid()), SizeIs(1));
}

// A rebuild replaces files under a program that runs.
TEST(MappedFiles, AReplacedFileIsToldFromTheNewOne) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may open what /proc/PID/map_files links to";
  const Folder folder;
  const std::string name = unique_name("replaced");
  const std::string path = folder.copy_program(name);
  const Program program(path);
  std::filesystem::remove(path);
  const MappedFile file = identified(name);
  EXPECT_THAT(file.path, HasSubstr("map_files"));
  const auto mappings = mappings_in(file, program.pid());
  ASSERT_THAT(mappings, SizeIs(1));
  EXPECT_THAT(mappings[0].path, HasSubstr(" (deleted)"));
  const auto variable = find(file, "matrix[1][0]");
  ASSERT_TRUE(variable) << variable.error().message;
  EXPECT_EQ(program.read<int>(address_in(mappings[0], *variable)), 3);

  std::filesystem::copy_file(program_path(), path);
  EXPECT_THAT(mappings_in(identified(path), program.pid()), IsEmpty());
}

// Its path exists there only, and here another file has it.
TEST(MappedFiles, AContainersFileIsFound) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may make a mount namespace";
  const Folder folder;
  const std::string name = unique_name("contained");
  const std::string path = folder.copy_program(name);
  const Program program(path, [&] {
    return ::unshare(CLONE_NEWNS) == 0 &&
           ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           ::mount("none", folder.path().c_str(), "tmpfs", 0, nullptr) == 0 &&
           std::filesystem::copy_file(program_path(), path);
  });
  if (!program.runs()) GTEST_SKIP() << "this machine does not let root make a mount namespace";
  EXPECT_THAT(mappings_in(identified(path), program.pid()), IsEmpty()) << "that is ours";
  const MappedFile file = identified(name);
  EXPECT_EQ(file.path, fmt::format("/proc/{}/root{}", program.pid().value, path));
  const auto mappings = mappings_in(file, program.pid());
  ASSERT_THAT(mappings, SizeIs(1));
  const auto variable = find(file, "matrix[1][0]");
  ASSERT_TRUE(variable) << variable.error().message;
  EXPECT_EQ(program.read<int>(address_in(mappings[0], *variable)), 3);
}

TEST(MappedFiles, WhatIsNoProgramIsRefused) {
  const Folder folder;
  std::ofstream(folder.path() / "text") << "#!/bin/sh\n";
  std::ofstream(folder.path() / "empty").flush();
  for (const char* const name : {"text", "empty"}) {
    EXPECT_THAT(identify_error(folder.path() / name),
                AllOf(HasSubstr("bad_type"), HasSubstr("is not a program or a shared library")));
  }
  EXPECT_THAT(identify_error(folder.path()), HasSubstr("unknown_name")) << "a folder";
  EXPECT_THAT(identify_error(""), HasSubstr("unknown_name"));
  EXPECT_THAT(identify_error("/dev/null"), HasSubstr("unknown_name"));
}

TEST(MappedFiles, WhatDiffersFromProcessToProcessIsRefused) {
  const MappedFile file = identified(program_path());
  for (const char* const text : {"head.next->len", "*cfg_pointer", "numbers[7]", "nothing->len",
                                 "app::reference", "table[3].next->len"}) {
    EXPECT_THAT(find_error(file, text), AllOf(HasSubstr("bad_type"), HasSubstr("a pointer")))
        << text;
  }
  EXPECT_EQ(find_error(file, "head.next"), "") << "the pointer itself";
  for (const std::string text : {"per_thread", "app::per_thread_cxx"}) {
    EXPECT_EQ(find_error(file, text),
              "bad_type: " + text +
                  " is thread-local: each thread of each process has its own, so it cannot be "
                  "watched in all of them; choose a process with -p");
  }
}

TEST(MappedFiles, OtherMistakesGetTheResolversSentences) {
  const MappedFile file = identified(program_path());
  EXPECT_THAT(find_error(file, "countr"),
              AllOf(HasSubstr("unknown_name: program has no variable"), HasSubstr("counter")));
  EXPECT_THAT(find_error(file, "twice"),
              AllOf(HasSubstr("ambiguous_name"), HasSubstr("one/util.c:twice"),
                    HasSubstr("(each behind \"program:\")")));
  EXPECT_EQ(find_error(file, "one/util.c:twice"), "");
  EXPECT_EQ(find_error(file, "program:counter"), "") << "the file's own name does no harm";
  EXPECT_THAT(find_error(file, "count_calls"), HasSubstr("bad_type: count_calls is a function"));
  EXPECT_THAT(find_error(file, "cfg.mode.x"), HasSubstr("bad_type: cfg.mode has no members"));
}

// What an error says to watch instead can be watched.
TEST(MappedFiles, AnAddressIsOneThatTheFileWasLinkedFor) {
  const MappedFile file = identified(program_path());
  const auto matrix = find(file, "matrix");
  ASSERT_TRUE(matrix) << matrix.error().message;
  const auto same = find(file, fmt::format("*{:#x}:16", linked_address(file, *matrix).value()));
  ASSERT_TRUE(same) << same.error().message;
  EXPECT_EQ(same->offset_from_load, matrix->offset_from_load);
  EXPECT_EQ(same->length.value, 16U);
  EXPECT_THAT(find_error(file, "*0x7f0000000000:4"),
              AllOf(HasSubstr("unreadable_memory"), HasSubstr("was not linked to have memory")));
  const MappedFile bare = identified(program_path("gcc_no_debug"));
  EXPECT_THAT(find_error(bare, "twice"), AllOf(HasSubstr("ambiguous_name"), HasSubstr(":4")));
}

TEST(MappedFiles, AFileWithoutDebugInformationHasItsSymbols) {
  const MappedFile file = identified(program_path("gcc_no_debug"));
  const auto counter = find(file, "counter");
  ASSERT_TRUE(counter) << counter.error().message;
  EXPECT_EQ(counter->length.value, 4U);
  EXPECT_THAT(counter->notes, Contains(HasSubstr("no debug information")));
}

TEST(MappedFiles, AVanishedFileIsAnError) {
  const Folder folder;
  const std::string path = folder.copy_program("vanished");
  const MappedFile file = identified(path);
  std::filesystem::remove(path);
  EXPECT_THAT(find_error(file, "counter"), AllOf(HasSubstr("os_failure"), HasSubstr(path)));
  EXPECT_THAT(find_mappings(file).mappings, IsEmpty());
}

TEST(MappedFiles, ProcessesThatMayNotBeLookedAtAreCounted) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  const Program program(program_path());
  const MappedFile file = identified(program_path());
  // Some are closed to root, too.
  const std::size_t closed_to_root = find_mappings(file).unreadable_processes;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    constexpr uid_t kNobody = 65534;
    if (::setuid(kNobody) != 0) ::_exit(3);
    const auto found = find_mappings(file);
    const auto unknown = identify_file("no-such-file-anywhere");
    const bool is_told =
        !unknown && unknown.error().message.find("could not be looked at") != std::string::npos;
    ::_exit(found.unreadable_processes > closed_to_root && found.mappings.empty() && is_told ? 0
                                                                                             : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// The C library of this very process.
TEST(MappedFiles, TheCLibraryIsFoundByItsName) {
  const auto file = identify_file("libc.so.6");
  if (!file && file.error().error.code == ErrorCode::ambiguous_name)
    GTEST_SKIP() << "this machine runs several C libraries: " << file.error().message;
  ASSERT_TRUE(file) << file.error().message;
  const auto variable = find(*file, "_IO_2_1_stdout_");
  ASSERT_TRUE(variable) << variable.error().message;
  // More than one if a test before left it in a namespace of its own.
  std::vector<RemoteAddress> addresses;
  for (const FileMapping& mapping : mappings_in(*file, ProcessId{::getpid()}))
    addresses.push_back(address_in(mapping, *variable));
  EXPECT_THAT(addresses,
              Contains(RemoteAddress::of_local(::dlsym(RTLD_DEFAULT, "_IO_2_1_stdout_"))));
}

}  // namespace
}  // namespace trapline::symbols
