// Shared objects with tables of their own, which come and go while others fault.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "ports/linux/fault/fault_test_support.h"
#include "ports/linux/fault/module_registry.h"
#include "trapline/linux/guarded_access.h"

namespace trapline::linux_port {
namespace {

using namespace std::chrono_literals;

class Plugin {
 public:
  explicit Plugin(const std::string& path) : handle_(::dlopen(path.c_str(), RTLD_NOW)) {
    if (handle_ == nullptr) std::fprintf(stderr, "%s\n", ::dlerror());
  }
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;
  ~Plugin() {
    if (handle_ != nullptr) ::dlclose(handle_);
  }
  [[nodiscard]] bool is_loaded() const { return handle_ != nullptr; }
  // Two faults each round.
  [[nodiscard]] int faults(int rounds) const {
    return reinterpret_cast<int (*)(int)>(::dlsym(handle_, "plugin_faults"))(rounds);
  }
  [[nodiscard]] int faults_of_constructor() const {
    return reinterpret_cast<int (*)()>(::dlsym(handle_, "plugin_faults_of_constructor"))();
  }

 private:
  void* handle_;
};

// Copies of the plugin: to the loader each is a module of its own.
class PluginCopies {
 public:
  explicit PluginCopies(std::size_t count) {
    folder_ =
        std::filesystem::temp_directory_path() / ("trapline-plugins-" + std::to_string(::getpid()));
    std::filesystem::create_directory(folder_);
    for (std::size_t i = 0; i < count; ++i) {
      paths.push_back((folder_ / ("plugin" + std::to_string(i) + ".so")).string());
      std::filesystem::copy_file(FAULT_PLUGIN, paths.back());
    }
  }
  PluginCopies(const PluginCopies&) = delete;
  PluginCopies& operator=(const PluginCopies&) = delete;
  ~PluginCopies() { std::filesystem::remove_all(folder_); }

  std::vector<std::string> paths;

 private:
  std::filesystem::path folder_;
};

bool own_access_works() {
  return !fault::try_load(reinterpret_cast<int*>(std::uintptr_t{0x10}));
}

class FaultModules : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(fault::install_fault_handler()); }
};

TEST_F(FaultModules, SharedObjectHasATableOfItsOwnWhileItIsLoaded) {
  const std::size_t before = module_registry().module_count();
  EXPECT_EQ(before, 1U);  // the program's
  {
    const Plugin plugin(FAULT_PLUGIN);
    ASSERT_TRUE(plugin.is_loaded());
    EXPECT_EQ(module_registry().module_count(), before + 1);
    EXPECT_EQ(plugin.faults(3), 6);
    EXPECT_EQ(plugin.faults_of_constructor(), 1);
    EXPECT_TRUE(own_access_works());
  }
  EXPECT_EQ(module_registry().module_count(), before);
  EXPECT_TRUE(own_access_works());
}

TEST_F(FaultModules, ComeAndGoWhileOthersFault) {
  const PluginCopies copies(6);
  const std::size_t before = module_registry().module_count();
  const Plugin steady(FAULT_PLUGIN);
  ASSERT_TRUE(steady.is_loaded());
  std::atomic<bool> ends{false};
  std::atomic<long> wrong{0};
  std::atomic<long> loads{0};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    while (!ends) wrong += own_access_works() ? 0 : 1;
  });
  threads.emplace_back([&] {
    while (!ends) wrong += steady.faults(5) == 10 ? 0 : 1;
  });
  for (std::size_t loader = 0; loader < 2; ++loader) {
    threads.emplace_back([&, loader] {
      while (!ends) {
        for (std::size_t i = loader; i < copies.paths.size(); i += 2) {
          const Plugin plugin(copies.paths[i]);
          wrong += plugin.is_loaded() && plugin.faults(2) == 4 ? 0 : 1;
          ++loads;
        }
      }
    });
  }
  constexpr long kEnough = 20;
  const auto start = std::chrono::steady_clock::now();
  const auto has_run_for = [&](std::chrono::seconds time) {
    return std::chrono::steady_clock::now() - start > time;
  };
  while (!has_run_for(1s) || (loads <= kEnough && !has_run_for(20s)))
    std::this_thread::sleep_for(10ms);
  ends = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(loads, kEnough);
  EXPECT_EQ(module_registry().module_count(), before + 1);
}

std::string outcome(const char* program, std::vector<const char*> arguments) {
  const pid_t child = ::fork();
  if (child == 0) {
    arguments.insert(arguments.begin(), program);
    arguments.push_back(nullptr);
    ::execv(program, const_cast<char* const*>(arguments.data()));
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return text_of_status(status);
}

TEST(BareHost, HandlerOfASharedObjectOutlivesIt) {
  EXPECT_EQ(outcome(FAULT_BARE_HOST, {FAULT_WHOLE_PLUGIN}), "exit 0");
  EXPECT_EQ(outcome(FAULT_BARE_HOST, {FAULT_WHOLE_PLUGIN, "crash"}),
            "signal " + std::to_string(SIGSEGV));
}

TEST(Exit, OtherThreadsFaultToTheEnd) {
  for (int round = 0; round < 8; ++round) {
    ASSERT_EQ(outcome(FAULT_EXIT_TARGET, {FAULT_PLUGIN}), "exit 0") << round;
  }
}

}  // namespace
}  // namespace trapline::linux_port
