// The symbolizer against running programs that say themselves where their code is
// (targets/code_shapes.cc), and against binutils' addr2line.
#include "symbols/symbolizer.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace trapline::symbols {
namespace {

std::string target_path(const std::string& name) {
  return std::string(SYMBOLS_TEST_TARGETS) + "/" + name;
}

struct Place {
  std::string name;
  std::uint64_t address = 0;
  std::uint32_t line = 0;
};

// A running target, until destruction.
class Target {
 public:
  explicit Target(const std::string& path) {
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
    read_places(output[0]);
  }
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;
  ~Target() {
    ::close(stop_);
    ::waitpid(pid_, nullptr, 0);
  }

  [[nodiscard]] ProcessId pid() const { return ProcessId{pid_}; }
  [[nodiscard]] const std::vector<Place>& probes() const { return probes_; }
  [[nodiscard]] std::uint64_t entry(const std::string& name) const {
    const auto found = std::ranges::find(entries_, name, &Place::name);
    return found == entries_.end() ? 0 : found->address;
  }

 private:
  void read_places(int fd) {
    FILE* const stream = ::fdopen(fd, "r");
    std::array<char, 256> text{};
    while (std::fgets(text.data(), text.size(), stream) != nullptr) {
      std::array<char, 32> kind{};
      std::array<char, 64> name{};
      unsigned long address = 0;
      unsigned line = 0;
      if (std::sscanf(text.data(), "%31s %63s %lx %u", kind.data(), name.data(), &address, &line) !=
          4)
        break;
      auto& places = std::string_view(kind.data()) == "probe" ? probes_ : entries_;
      places.push_back({name.data(), address, line});
    }
    std::fclose(stream);
  }

  pid_t pid_ = -1;
  int stop_ = -1;
  std::vector<Place> probes_;
  std::vector<Place> entries_;
};

struct SourceFrame {
  std::string function;
  std::string line;  // "code_shapes.cc:12"

  friend bool operator==(const SourceFrame&, const SourceFrame&) = default;
  friend std::ostream& operator<<(std::ostream& stream, const SourceFrame& frame) {
    return stream << frame.function << " " << frame.line;
  }
};

std::string basename_of(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

// "shapes::outer" of "shapes::outer(int)" and of "void shapes::generic<long>(long)"; addr2line and
// DWARF differ in what they add around it.
std::string bare_name(std::string name) {
  for (const std::string_view unwanted : {"(anonymous namespace)::", "run_shapes::"}) {
    const std::size_t at = name.find(unwanted);
    if (at != std::string::npos) name.erase(at, unwanted.size());
  }
  if (name.find("lambda") != std::string::npos || name.find("operator()") != std::string::npos)
    return "lambda";
  name.erase(std::min(name.find_first_of("(<"), name.size()));
  return name.substr(name.rfind(' ') + 1);
}

std::vector<SourceFrame> addr2line(const std::string& file, std::uint64_t address) {
  std::array<char, 64> hex{};
  std::snprintf(hex.data(), hex.size(), " 0x%lx", address);
  const std::string command = "addr2line -i -f -C -e " + file + hex.data();
  FILE* const stream = ::popen(command.c_str(), "r");
  std::vector<SourceFrame> frames;
  std::array<char, 1024> text{};
  while (std::fgets(text.data(), text.size(), stream) != nullptr) {
    std::string function = text.data();
    function.pop_back();
    if (std::fgets(text.data(), text.size(), stream) == nullptr) break;
    std::string line = text.data();
    line.erase(line.find_first_of(" \n"));
    frames.push_back({bare_name(function), basename_of(line)});
  }
  ::pclose(stream);
  return frames;
}

std::vector<SourceFrame> as_source_frames(std::span<const Frame> frames) {
  std::vector<SourceFrame> result;
  for (const Frame& frame : frames) {
    result.push_back(
        {bare_name(frame.symbol), basename_of(frame.file) + ":" + std::to_string(frame.line)});
  }
  return result;
}

class SymbolizerTest : public ::testing::Test {
 protected:
  void start(const std::string& name) {
    const std::string path = target_path(name);
    ASSERT_TRUE(std::filesystem::exists(path)) << path;
    target_.emplace(path);
    ASSERT_GE(target_->probes().size(), 9U);
    auto image = ProcessImage::open(target_->pid());
    ASSERT_TRUE(image.has_value()) << image.error().message;
    image_ = std::move(*image);
    symbolizer_.emplace(*image_);
  }

  std::span<const Frame> frames_of(const Place& place) {
    return symbolizer_->frames_at(RemoteAddress(place.address), false);
  }
  [[nodiscard]] const Place& probe(const std::string& name) const {
    return *std::ranges::find(target_->probes(), name, &Place::name);
  }

  std::optional<Target> target_;
  std::unique_ptr<ProcessImage> image_;
  std::optional<Symbolizer> symbolizer_;
};

// Programs with debug information, and the file in which addr2line finds it.
struct Build {
  const char* name;
  const char* program;
  const char* debug_file;
};

class WithDebugInformation : public SymbolizerTest, public ::testing::WithParamInterface<Build> {
 protected:
  void SetUp() override {
    if (std::string_view(GetParam().name).starts_with("clang") && SYMBOLS_TEST_HAVE_CLANG == 0)
      GTEST_SKIP() << "no clang++ on this machine";
    start(GetParam().program);
  }
};

INSTANTIATE_TEST_SUITE_P(
    Builds, WithDebugInformation,
    ::testing::Values(Build{"gcc_pie", "shapes_gcc_pie", "shapes_gcc_pie"},
                      Build{"gcc_no_pie", "shapes_gcc_no_pie", "shapes_gcc_no_pie"},
                      Build{"gcc_dwarf4", "shapes_gcc_dwarf4", "shapes_gcc_dwarf4"},
                      Build{"clang", "shapes_clang", "shapes_clang"},
                      Build{"clang_split", "shapes_clang_split", "shapes_clang_split"},
                      Build{"shared_library", "shapes_shared", "libshapes.so"},
                      Build{"separate_file", "shapes_separate", "shapes_separate.debug"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(WithDebugInformation, EveryProbeHasItsLine) {
  for (const Place& place : target_->probes()) {
    const auto frames = frames_of(place);
    ASSERT_FALSE(frames.empty());
    EXPECT_EQ(frames[0].line, place.line) << place.name;
    EXPECT_TRUE(frames[0].file.starts_with("/")) << frames[0].file;
    EXPECT_TRUE(frames[0].file.ends_with("/code_shapes.cc")) << frames[0].file;
    EXPECT_FALSE(frames.back().inlined);
  }
}

TEST_P(WithDebugInformation, FunctionsHaveTheirFullNames) {
  const std::map<std::string, std::string> names{
      {"method", "shapes::Counter::bump(int)"},        {"outer", "shapes::outer(int)"},
      {"generic", "void shapes::generic<long>(long)"}, {"hot", "shapes::with_cold_part(int)"},
      {"hidden", "(anonymous namespace)::hidden"},     {"plain_c", "plain_c"}};
  for (const auto& [name, symbol] : names) {
    const Frame frame = frames_of(probe(name)).back();
    EXPECT_TRUE(frame.symbol.starts_with(symbol)) << name << ": " << frame.symbol;
    if (name == "hidden") continue;  // with parameters only where there is a linkage name
    EXPECT_EQ(frame.symbol, symbol);
  }
}

TEST_P(WithDebugInformation, OffsetCountsFromTheEntry) {
  for (const std::string name : {"outer", "hidden", "plain_c"}) {
    const Place& place = probe(name);
    EXPECT_EQ(frames_of(place).back().offset, place.address - target_->entry(name)) << name;
  }
}

TEST_P(WithDebugInformation, InlinedFramesLeadToTheFunctionThatWasCompiled) {
  const auto frames = frames_of(probe("leaf"));
  ASSERT_EQ(frames.size(), 3U);
  EXPECT_EQ(bare_name(frames[0].symbol), "shapes::leaf");
  EXPECT_EQ(bare_name(frames[1].symbol), "shapes::middle");
  EXPECT_EQ(bare_name(frames[2].symbol), "shapes::outer");
  EXPECT_TRUE(frames[0].inlined);
  EXPECT_TRUE(frames[1].inlined);
  EXPECT_EQ(frames[1].line + 1, probe("middle").line) << "the line of the call";
  EXPECT_EQ(frames[2].line + 1, probe("outer").line) << "the line of the call";
}

TEST_P(WithDebugInformation, EveryProbeAgreesWithAddr2line) {
  if (std::string_view(GetParam().name) == "clang_split")
    GTEST_SKIP() << "addr2line itself does not see inlined calls in split DWARF";
  const auto module = image_->module_at(RemoteAddress(probe("outer").address));
  ASSERT_TRUE(module.has_value());
  const std::uint64_t bias =
      std::string_view(GetParam().name) == "gcc_no_pie" ? 0 : module->start.value();
  for (const Place& place : target_->probes()) {
    const std::uint64_t address = place.address;
    EXPECT_EQ(as_source_frames(frames_of(place)),
              addr2line(target_path(GetParam().debug_file), address - bias))
        << place.name;
  }
}

TEST_P(WithDebugInformation, ReturnAddressMeansTheCallBeforeIt) {
  // The probe is one byte: what returns to the byte behind it was called on its line.
  const Place& place = probe("plain_c");
  const auto frames = symbolizer_->frames_at(RemoteAddress(place.address + 1), true);
  EXPECT_EQ(frames[0].line, place.line);
  EXPECT_EQ(frames[0].ip, RemoteAddress(place.address + 1));
}

TEST_P(WithDebugInformation, FunctionBoundsHoldTheProbe) {
  for (const Place& place : target_->probes()) {
    const auto function = symbolizer_->function_at(RemoteAddress(place.address));
    ASSERT_TRUE(function.has_value()) << place.name;
    EXPECT_LE(function->start.value(), place.address);
    EXPECT_GT(function->end.value(), place.address);
  }
  EXPECT_EQ(symbolizer_->function_at(RemoteAddress(probe("outer").address))->start.value(),
            target_->entry("outer"));
}

TEST_F(SymbolizerTest, SymbolTableAloneNamesFunctions) {
  start("shapes_symbols_only");
  const auto frames = frames_of(probe("leaf"));
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].symbol, "shapes::outer(int)");
  EXPECT_EQ(frames[0].offset, probe("leaf").address - target_->entry("outer"));
  EXPECT_EQ(frames[0].line, 0U);
  EXPECT_TRUE(frames[0].file.empty());
  EXPECT_EQ(frames[0].module, "shapes_symbols_only");
}

// The address of a symbol in a file, as nm prints it; 0 if it has none.
std::uint64_t address_in_file(const std::string& file, const std::string& symbol) {
  FILE* const stream = ::popen(("nm " + file).c_str(), "r");
  std::uint64_t result = 0;
  std::array<char, 512> text{};
  while (std::fgets(text.data(), text.size(), stream) != nullptr) {
    unsigned long address = 0;
    char type = 0;
    std::array<char, 256> name{};
    if (std::sscanf(text.data(), "%lx %c %255s", &address, &type, name.data()) == 3 &&
        symbol == name.data())
      result = address;
  }
  ::pclose(stream);
  return result;
}

TEST_F(SymbolizerTest, ColdPartIsAPieceOfItsOwn) {
  start("shapes_gcc_pie");
  const std::uint64_t in_file =
      address_in_file(target_path("shapes_gcc_pie"), "_ZN6shapes14with_cold_partEi.cold");
  ASSERT_NE(in_file, 0U);
  const auto module = image_->module_at(RemoteAddress(probe("outer").address));
  const RemoteAddress cold = module->start + ByteCount{in_file};
  const RemoteAddress inside = cold + ByteCount{1};
  const auto function = symbolizer_->function_at(inside);
  ASSERT_TRUE(function.has_value());
  EXPECT_EQ(function->start, cold);
  EXPECT_EQ(function->name, "shapes::with_cold_part(int) [clone .cold]");
  const Frame frame = symbolizer_->frames_at(inside, false).back();
  EXPECT_EQ(frame.symbol, function->name);
  EXPECT_EQ(frame.offset, 1U);
  EXPECT_LT(frame.line, probe("hot").line);
  EXPECT_GT(frame.line + 5, probe("hot").line);
}

TEST_F(SymbolizerTest, LabelWithoutSizeReachesToTheNextSymbol) {
  start("shapes_symbols_only");
  const std::uint64_t entry = target_->entry("bare_label");
  const auto function = symbolizer_->function_at(RemoteAddress(entry + 1));
  ASSERT_TRUE(function.has_value());
  EXPECT_EQ(function->name, "bare_label");
  EXPECT_EQ(function->start.value(), entry);
  EXPECT_EQ(function->end.value(), entry + 2);
}

TEST_F(SymbolizerTest, StrippedProgramStillHasBoundsFromCallFrames) {
  start("shapes_stripped");
  for (const std::string name : {"outer", "hidden", "plain_c"}) {
    const Place& place = probe(name);
    const auto function = symbolizer_->function_at(RemoteAddress(place.address));
    ASSERT_TRUE(function.has_value()) << name;
    EXPECT_LE(function->start.value(), target_->entry(name));
    EXPECT_GT(function->end.value(), place.address);
    EXPECT_TRUE(function->name.empty());
    const auto frames = frames_of(place);
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_TRUE(frames[0].symbol.empty()) << frames[0].symbol;
  }
}

TEST_F(SymbolizerTest, UnmappedAddressIsAFrameWithNothingButIt) {
  start("shapes_gcc_pie");
  const auto frames = symbolizer_->frames_at(RemoteAddress(0x10), false);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].ip, RemoteAddress(0x10));
  EXPECT_TRUE(frames[0].symbol.empty());
  EXPECT_TRUE(frames[0].module.empty());
  EXPECT_FALSE(symbolizer_->function_at(RemoteAddress(0x10)).has_value());
}

// What a program makes there (a compiler of its own, a mapping that was missed) is not the code of
// the module before.
TEST_F(SymbolizerTest, BehindAModuleThereIsAnotherOrNone) {
  start("shapes_gcc_pie");
  auto modules = image_->modules();
  ASSERT_FALSE(modules.empty());
  std::ranges::sort(modules, {}, &ModuleInfo::start);
  for (std::size_t i = 0; i + 1 < modules.size(); ++i) {
    const RemoteAddress end = modules[i].end;
    EXPECT_EQ(image_->module_at(modules[i].start), modules[i]);
    const ByteCount gap = modules[i + 1].start - end;
    if (gap.value == 0) continue;
    for (const RemoteAddress between : {end, end + ByteCount{gap.value / 2}}) {
      EXPECT_EQ(image_->module_at(between), std::nullopt) << modules[i].path;
      const auto frames = symbolizer_->frames_at(between, false);
      ASSERT_EQ(frames.size(), 1U);
      EXPECT_TRUE(frames[0].module.empty() && frames[0].symbol.empty()) << frames[0].module;
    }
  }
}

TEST_F(SymbolizerTest, FullCacheStartsAfreshAndAnswersTheSame) {
  start("shapes_gcc_pie");
  Symbolizer small(*image_, 2);
  for (int round = 0; round < 2; ++round) {
    for (const Place& place : target_->probes())
      EXPECT_EQ(small.frames_at(RemoteAddress(place.address), false)[0].line, place.line);
  }
}

TEST_F(SymbolizerTest, AnswersSurviveARefresh) {
  start("shapes_gcc_pie");
  ASSERT_EQ(frames_of(probe("leaf")).size(), 3U);
  ASSERT_TRUE(image_->refresh().has_value());
  symbolizer_->clear();
  EXPECT_EQ(frames_of(probe("leaf")).size(), 3U);
}

TEST(KernelSymbolizerTest, AddressesAreNamedWhereTheyMayBeRead) {
  FILE* const kallsyms = std::fopen("/proc/kallsyms", "r");
  ASSERT_NE(kallsyms, nullptr);
  unsigned long address = 0;
  char type = 0;
  std::array<char, 128> name{};
  while (std::fscanf(kallsyms, "%lx %c %127s%*[^\n]", &address, &type, name.data()) == 3) {
    if (type == 'T' && std::string_view(name.data()) == "schedule") break;
  }
  std::fclose(kallsyms);
  if (address == 0) GTEST_SKIP() << "this user may not read kernel addresses";
  ASSERT_STREQ(name.data(), "schedule");
  const Frame frame = KernelSymbolizer().frame_at(RemoteAddress(address + 1));
  EXPECT_EQ(frame.symbol, "schedule");
  EXPECT_EQ(frame.offset, 1U);
  EXPECT_EQ(frame.module, "[kernel]");
}

TEST_F(SymbolizerTest, RepeatedQuestionsCostNoMoreThanALookup) {
  start("shapes_gcc_pie");
  const RemoteAddress address(probe("leaf").address);
  ASSERT_FALSE(symbolizer_->frames_at(address, false).empty());
  constexpr int kRounds = 100000;
  const auto begin = std::chrono::steady_clock::now();
  std::size_t frames = 0;
  for (int round = 0; round < kRounds; ++round)
    frames += symbolizer_->frames_at(address, false).size();
  const std::chrono::duration<double, std::micro> cost = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(frames, 3U * kRounds);
  RecordProperty("nanoseconds_per_lookup", static_cast<int>(cost.count() * 1000 / kRounds));
  EXPECT_LT(cost.count() / kRounds, 20.0) << "microseconds; a miss costs far more";
}

}  // namespace
}  // namespace trapline::symbols
