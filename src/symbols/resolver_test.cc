// The resolver against running programs that say themselves where their variables are
// (testdata/*.c), and against what the C library of this very process says.
#include "symbols/resolver.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "symbols/test_subject.h"

namespace trapline::symbols {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// An environment in which a program finds its libraries in that folder, and nothing else.
std::function<bool()> with_libraries(const std::string& folder = {}) {
  return
      [folder] { return ::clearenv() == 0 && ::setenv("LD_LIBRARY_PATH", folder.c_str(), 1) == 0; };
}

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
}

INSTANTIATE_TEST_SUITE_P(Builds, ResolverOnVariant, ::testing::ValuesIn(variants()),
                         [](const auto& param) { return param.param; });

TEST(Resolver, EachMistakeGetsItsOwnSentence) {
  Subject subject("gcc_dwarf5");
  EXPECT_EQ(subject.object_error("cfg.mode.x"), "bad_type: cfg.mode has no members: it is int");
  EXPECT_EQ(subject.object_error("cfg.mood"),
            "unknown_name: cfg (struct config) has no member called mood; it has: mode, low, high, "
            "inner, value, bytes");
  EXPECT_EQ(subject.object_error("head.next.len"),
            "bad_type: head.next is a pointer (struct node *): use head.next->len");
  EXPECT_EQ(subject.object_error("head->len"),
            "bad_type: head is not a pointer but struct node; use '.'");
  EXPECT_EQ(subject.object_error("counter[1]"), "bad_type: counter cannot be indexed: it is int");
  EXPECT_EQ(subject.object_error("table[4]"),
            "bad_type: table has 4 elements, 0 to 3: there is no [4]");
  EXPECT_EQ(subject.object_error("grid[2][5]"),
            "bad_type: grid[2] has 5 elements, 0 to 4: there is no [5]");
  EXPECT_EQ(subject.object_error("nothing->len"), "unreadable_memory: nothing is null now");
  EXPECT_EQ(subject.object_error("wild->len"),
            "unreadable_memory: wild points to 0x10 now, where this process has no memory");
  EXPECT_THAT(subject.object_error("numbers[9999999999]"),
              AllOf(HasSubstr("unreadable_memory: numbers[9999999999] would be at "),
                    HasSubstr("no memory")));
  EXPECT_THAT(subject.object_error("numbers[9223372036854775807]"),
              HasSubstr("outside of the address space"));
  EXPECT_THAT(subject.object_error("*untyped"), HasSubstr("bad_type: untyped is a void *"));
  EXPECT_THAT(subject.object_error("app::virtual_object.base_member"),
              HasSubstr("is in a virtual base class"));
  EXPECT_EQ(subject.object_error("count_calls"),
            "bad_type: count_calls is a function: add -t x to see its calls");
  EXPECT_EQ(subject.function_error("counter"),
            "bad_type: counter is a variable, and -t x is for functions: use -t w, r or rw");
  EXPECT_EQ(subject.function_error("count_calls.x"),
            "bad_type: -t x wants the name of a function, without members or indices");
}

TEST(Resolver, AFileThatHasNotTheNameIsCorrected) {
  Subject subject("gcc_dwarf5");
  EXPECT_EQ(subject.object_error("two/util.c:only_in_one"),
            "unknown_name: two/util.c has no only_in_one, but there is util.c:only_in_one");
  EXPECT_THAT(subject.object_error("c_part.c:twice"),
              AllOf(HasSubstr("one/util.c:twice"), HasSubstr("two/util.c:twice")));
}

TEST(Resolver, AmbiguousCandidatesResolveAsListed) {
  Subject subject("gcc_dwarf5");
  const std::string error = subject.object_error("in_namespace");
  EXPECT_THAT(error, AllOf(HasSubstr("ambiguous_name"), HasSubstr("cxx_main.cc:app::in_namespace"),
                           HasSubstr("cxx_main.cc:other::in_namespace")));
  const auto one = subject.object("cxx_main.cc:other::in_namespace");
  ASSERT_TRUE(one) << one.error().message;
  EXPECT_EQ(one->address.value(), subject.program().address_of("other::in_namespace"));
}

TEST(Resolver, ExplicitAddressesMustBeMemory) {
  Subject subject("gcc_dwarf5");
  const std::uint64_t counter = subject.program().address_of("counter");
  const auto object = subject.object(fmt::format("*{:#x}:2", counter));
  ASSERT_TRUE(object) << object.error().message;
  EXPECT_EQ(object->address.value(), counter);
  EXPECT_EQ(object->length.value, 2U);
  EXPECT_EQ(object->module, "");
  const auto word = subject.object(fmt::format("*{}", counter));
  ASSERT_TRUE(word) << word.error().message;
  EXPECT_EQ(word->length, kDefaultLength);
  EXPECT_THAT(subject.object_error("*0x10:4"),
              HasSubstr("unreadable_memory: this process has no memory at 0x10"));
  EXPECT_THAT(subject.object_error(fmt::format("*{:#x}:0x10000000000", counter)),
              HasSubstr("unreadable_memory"));
}

TEST(Resolver, SaysWhetherTheAddressDependsOnAPointer) {
  Subject subject("gcc_dwarf5");
  const auto direct = subject.object("cfg.mode");
  ASSERT_TRUE(direct);
  EXPECT_FALSE(direct->followed_pointer);
  EXPECT_EQ(std::filesystem::path(direct->module), program_path("gcc_dwarf5"));
  EXPECT_LE(direct->module_start, direct->address);
  const auto followed = subject.object("head.next->len");
  ASSERT_TRUE(followed);
  EXPECT_TRUE(followed->followed_pointer);
  EXPECT_EQ(followed->module, "");
}

TEST(Resolver, ALibrarysGlobalIsTheProgramsCopy) {
  Subject subject("gcc_dwarf5");
  const auto object = subject.object("libvariables.so:shared_counter");
  ASSERT_TRUE(object) << object.error().message;
  EXPECT_EQ(object->address.value(), subject.program().address_of("shared_counter"));
  EXPECT_EQ(std::filesystem::path(object->module), program_path("gcc_dwarf5"));
  EXPECT_THAT(object->notes, ::testing::ElementsAre(HasSubstr("is kept in program")));
}

TEST(Resolver, AStrippedProgramHasWhatTheDynamicLinkerNeeds) {
  Subject subject("stripped");
  const auto object = subject.object("shared_counter");
  ASSERT_TRUE(object) << object.error().message;
  EXPECT_EQ(object->address.value(), subject.program().address_of("shared_counter"));
  EXPECT_EQ(object->length.value, 4U);
  // The library has debug information: it knows the type.
  EXPECT_EQ(object->type.name, "int");
  EXPECT_THAT(subject.object_error("counter"),
              AllOf(HasSubstr("unknown_name"), HasSubstr("no debug information")));
}

TEST(Resolver, WithoutDwarfTheSymbolTellsAddressAndLength) {
  Subject subject("gcc_no_debug");
  for (const char* const name : {"counter", "hits", "cfg", "announced", "library_static",
                                 "only_in_one", "util.c:only_in_one", "app::in_namespace",
                                 "app::hidden", "app::Vec<int, 4>::count", "count_calls::calls"}) {
    SCOPED_TRACE(name);
    const std::string plain = std::string(name) == "count_calls::calls" ? "calls" : name;
    const auto object = subject.object(plain);
    if (!object) {
      ADD_FAILURE() << object.error().message;
      continue;
    }
    EXPECT_EQ(object->address.value(), subject.program().address_of(name));
    EXPECT_FALSE(object->notes.empty());
    EXPECT_EQ(object->type.name, "");
    EXPECT_GT(object->length.value, 0U);
  }
  EXPECT_THAT(subject.object_error("cfg.mode"),
              AllOf(HasSubstr("bad_type: program has no debug information"), HasSubstr(":LENGTH")));
  EXPECT_THAT(subject.object_error("per_thread"), HasSubstr("thread-local"));
  EXPECT_THAT(subject.object_error("twice"), HasSubstr("ambiguous_name"));
}

TEST(Resolver, OverloadsAreListedWithTheirParameters) {
  Subject subject("gcc_dwarf5");
  EXPECT_THAT(subject.function_error("app::overloaded"),
              AllOf(HasSubstr("ambiguous_name"), HasSubstr("cxx_main.cc:app::overloaded(int)"),
                    HasSubstr("cxx_main.cc:app::overloaded(char)")));
}

TEST(Resolver, InlinedCopiesAreCounted) {
  Subject subject("gcc_optimised");
  EXPECT_THAT(subject.function_error("app::always_inlined"),
              AllOf(HasSubstr("bad_type"), HasSubstr("inlined in 2 places")));
  const auto plain = subject.function("app::uses_inlined");
  ASSERT_TRUE(plain) << plain.error().message;
  EXPECT_EQ(plain->inlined_copies, 0U);
  EXPECT_TRUE(plain->notes.empty());
}

TEST(Resolver, AFunctionChosenAtLoadTimeIsRefused) {
  Subject subject("gcc_dwarf5");
  EXPECT_THAT(subject.function_error("libc.so.6:memcpy"),
              AllOf(HasSubstr("bad_type"), HasSubstr("several implementations")));
}

// A rebuild replaces files under a program that runs.
TEST(Resolver, ReplacedFilesAreReadAsTheyRun) {
  const auto folder =
      std::filesystem::temp_directory_path() / fmt::format("replaced-{}", ::getpid());
  const auto variant = std::filesystem::path(program_path("gcc_dwarf5")).parent_path();
  const auto other = std::filesystem::path(program_path("gcc_optimised")).parent_path();
  std::filesystem::create_directory(folder);
  for (const char* const file : {"program", "libvariables.so"})
    std::filesystem::copy_file(variant / file, folder / file);
  {
    Program program(folder / "program", with_libraries(folder));
    for (const char* const file : {"program", "libvariables.so"}) {
      std::filesystem::remove(folder / file);
      std::filesystem::copy_file(other / file, folder / file);
    }
    const auto image = ProcessImage::open(program.pid());
    ASSERT_TRUE(image) << image.error().message;
    Memory memory(program.pid());
    for (const char* const name : {"counter", "hits", "table[3].next->len", "library_static",
                                   "libvariables.so:library_static"}) {
      const auto object = resolve_object(**image, memory, *parse_expression(name));
      if (object) {
        EXPECT_EQ(object->address.value(), program.address_of(name)) << name;
      } else {
        ADD_FAILURE() << object.error().message;
      }
    }
  }
  std::filesystem::remove_all(folder);
}

TEST(ProcessImage, AnEndedProcessIsAnError) {
  const auto image = ProcessImage::open(ProcessId{0x3fffffff});
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().error.code, ErrorCode::no_such_process);
}

// What the C library of this process says itself.
TEST(Resolver, FindsTheCLibrarysOwnVariables) {
  const ProcessId self{::getpid()};
  const auto image = ProcessImage::open(self);
  ASSERT_TRUE(image) << image.error().message;
  Memory memory(self);
  const auto pointer = resolve_object(**image, memory, *parse_expression("__environ"));
  ASSERT_TRUE(pointer) << pointer.error().message;
  EXPECT_EQ(memory.read_object<char**>(pointer->address), environ);
  EXPECT_EQ(pointer->length.value, sizeof(environ));

  const auto stream =
      resolve_object(**image, memory, *parse_expression("libc.so.6:_IO_2_1_stdout_"));
  ASSERT_TRUE(stream) << stream.error().message;
  EXPECT_EQ(stream->address, RemoteAddress::of_local(stdout));
}

// main_arena is a static of libc: only its separate debug file, found by build-id, names it.
TEST(Resolver, FindsStaticsThroughABuildId) {
  const ProcessId self{::getpid()};
  const auto image = ProcessImage::open(self);
  ASSERT_TRUE(image) << image.error().message;
  Memory memory(self);
  const auto member =
      resolve_object(**image, memory, *parse_expression("_IO_2_1_stdout_.file._IO_write_ptr"));
  if (!member && member.error().message.find("no debug information") != std::string::npos)
    GTEST_SKIP() << "the C library has no debug information here: install libc6-dbg";
  ASSERT_TRUE(member) << member.error().message;
  EXPECT_EQ(member->address,
            RemoteAddress::of_local(static_cast<const void*>(&stdout->_IO_write_ptr)));
  EXPECT_EQ(member->type.name, "char *");

  const auto arena = resolve_object(**image, memory, *parse_expression("main_arena"));
  ASSERT_TRUE(arena) << arena.error().message;
  EXPECT_EQ(arena->type.name, "struct malloc_state");
  // An arena's list of arenas leads back to it.
  const auto next = resolve_object(**image, memory, *parse_expression("main_arena.next"));
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_EQ(memory.read_object<std::uint64_t>(next->address), arena->address.value());
}

}  // namespace
}  // namespace trapline::symbols
