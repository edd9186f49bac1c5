// CPUs that are added to the machine while it runs, as a hypervisor does: in a guest of tests/vm,
// which may ask for them.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include "ports/linux/cpu_files.h"
#include "tests/linux/cpu_writer.h"
#include "tests/linux/watch_fixture.h"

namespace trapline::testing {
namespace {

using namespace std::chrono_literals;

// A CPU that this machine does not have yet. What was added stays, offline.
class AddedCpu {
 public:
  AddedCpu(const AddedCpu&) = delete;
  AddedCpu& operator=(const AddedCpu&) = delete;
  ~AddedCpu() { (void)files_.set_online(id_, false); }

  // The next one.
  AddedCpu() : id_{files_.present()->count()} {}
  [[nodiscard]] CpuId id() const { return id_; }
  [[nodiscard]] bool can_be_had() const { return files_.possible()->contains(id_); }

  [[nodiscard]] bool add() const {
    std::ofstream("/dev/console") << "\n@vm add-cpu " << id_.value << std::endl;
    // Present a moment before the kernel lets it be brought up.
    return wait_until(
        [this] { return files_.present()->contains(id_) && files_.set_online(id_, true); }, 20s);
  }

 private:
  linux_port::CpuFiles files_;
  CpuId id_;
};

class WatchHotAdd : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
    if (std::getenv("TRAPLINE_ADDS_CPUS") == nullptr)
      GTEST_SKIP() << "nobody adds CPUs to this machine; tests/vm/run amd64 does";
    if (!cpu_.can_be_had()) GTEST_SKIP() << "this machine has every CPU that it can have";
  }
  // While the writer writes: adds the CPU, and lets it write there for a while.
  void add_cpu() {
    ASSERT_TRUE(cpu_.add());
    std::this_thread::sleep_for(1s);
  }
  [[nodiscard]] bool is_on_it(const Write& write) const { return write.cpu == cpu_.id().value; }

  AddedCpu cpu_;
};

INSTANTIATE_TEST_SUITE_P(Collectors, WatchHotAdd, ::testing::Values("bpf", "perf"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(WatchHotAdd, WatchOfAProcessFollowsItToANewCpu) {
  CpuWriter writer(cpu_.id().value);
  Watch watch({"counter", "-p", std::to_string(writer.pid()), "--collector", GetParam()});
  add_cpu();
  const auto writes = writer.finish();
  const auto result = watch.finish();
  expect_none_missed(writes, result);
  EXPECT_TRUE(std::ranges::any_of(writes, [&](const Write& write) { return is_on_it(write); }))
      << "nothing was written on the new CPU";
}

TEST_P(WatchHotAdd, WatchOfTheMachineTakesANewCpuIn) {
  CpuWriter writer(cpu_.id().value);
  Watch watch({std::string(CPU_WRITER_PROGRAM) + ":counter", "-a", "--collector", GetParam()});
  add_cpu();
  const auto writes = writer.finish();
  const auto result = watch.interrupt();
  const auto online = std::ranges::find_if(result.cpus, [&](const nlohmann::json& change) {
    return change["event"] == "online" && change["cpu"] == cpu_.id().value;
  });
  ASSERT_NE(online, result.cpus.end());
  EXPECT_FALSE(online->contains("watched")) << *online;
  const std::uint64_t since = (*online)["time_ns"];
  std::set<std::uint64_t> seen;
  for (const auto& hit : result.hits) {
    if (hit["pid"] == writer.pid()) seen.insert(hit["new"].get<std::uint64_t>());
  }
  std::size_t count = 0;
  for (const Write& write : writes) {
    if (!is_on_it(write) || write.begin <= since) continue;
    EXPECT_TRUE(seen.contains(write.value)) << "write " << write.value << " was missed";
    ++count;
  }
  EXPECT_GT(count, 0U) << "nothing was written on the new CPU";
  EXPECT_EQ(result.end["lost"], 0);
}

}  // namespace
}  // namespace trapline::testing
