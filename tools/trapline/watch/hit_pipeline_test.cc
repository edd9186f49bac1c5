// The pipeline about this very process: its image is real, the hits are made up.
#include "tools/trapline/watch/hit_pipeline.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "ports/linux/remote_memory.h"

namespace trapline::command {
namespace {

using linux_port::TargetEvent;

class RecordingReporter final : public report::Reporter {
 public:
  Result<void> start(const report::WatchStart&) override { return {}; }
  Result<void> hit(const report::HitView& view) override {
    hits.push_back(view.hit);
    return {};
  }
  Result<void> lost(std::uint64_t) override { return {}; }
  Result<void> end(const report::WatchEnd&) override { return {}; }
  Result<void> flush() override { return {}; }

  std::vector<Hit> hits;  // their callers are gone
};

class HitPipelineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto image = symbols::ProcessImage::open(pid_);
    ASSERT_TRUE(image) << image.error().message;
    image_ = std::move(*image);
    object_.request = {RemoteAddress(0x7000), ByteCount{4}, Access::write};
    parts_ = std::make_unique<Parts>(*this);
  }

  // What the collector saw after a write by `pid`.
  void write(std::uint64_t value, ProcessId pid) {
    linux_port::Sample sample;
    sample.hit.pid = pid;
    sample.hit.address = object_.request.address;
    sample.hit.length = object_.request.length;
    sample.hit.new_value = {value, Certainty::exact};
    sample.is_newest = false;
    parts_->pipeline.on_sample(sample);
  }

  // All that needs the image.
  struct Parts {
    explicit Parts(HitPipelineTest& test)
        : symbolizer(*test.image_),
          unwinder(*test.image_),
          frame_state(*test.image_),
          code(*test.image_, test.memory_),
          finder(code),
          values(test.pid_, test.memory_, finder),
          pipeline({test.options_, test.object_, test.pid_, *test.image_, symbolizer, unwinder,
                    frame_state, finder, values, test.reporter_}) {}
    symbols::Symbolizer symbolizer;
    symbols::Unwinder unwinder;
    symbols::FrameState frame_state;
    symbols::ImageCode code;
    decode::CulpritFinder finder;
    ValueTracker values;
    HitPipeline pipeline;
  };

  const ProcessId pid_{::getpid()};
  const ProcessId child_{pid_.value + 1};
  WatchOptions options_;
  WatchedObject object_;
  RecordingReporter reporter_;
  linux_port::RemoteMemory memory_{pid_};
  std::unique_ptr<symbols::ProcessImage> image_;
  std::unique_ptr<Parts> parts_;
};

TEST_F(HitPipelineTest, ValuesAreNotCarriedAcrossAGap) {
  parts_->values.set_sees_all_writers(true);
  write(5, pid_);
  write(6, pid_);
  parts_->pipeline.on_gap();
  write(8, pid_);
  ASSERT_EQ(reporter_.hits.size(), 3U);
  EXPECT_EQ(reporter_.hits[1].old_value, (MemoryValue{5, Certainty::exact}));
  EXPECT_EQ(reporter_.hits[2].old_value, MemoryValue{});
  EXPECT_EQ(reporter_.hits[2].new_value, (MemoryValue{8, Certainty::exact}));
}

TEST_F(HitPipelineTest, ExecEndsAWatchOfOneProcess) {
  parts_->pipeline.on_event({.kind = TargetEvent::Kind::executed, .pid = pid_});
  EXPECT_TRUE(parts_->pipeline.finished());
  write(5, child_);
  EXPECT_TRUE(reporter_.hits.empty());
}

TEST_F(HitPipelineTest, ExecLeavesTheChildrenWatched) {
  options_.follow_children = true;
  parts_->pipeline.on_event({.kind = TargetEvent::Kind::executed, .pid = pid_});
  EXPECT_FALSE(parts_->pipeline.finished());
  EXPECT_TRUE(parts_->pipeline.image_is_replaced());
  write(5, child_);
  EXPECT_EQ(reporter_.hits.size(), 1U);
  EXPECT_EQ(parts_->pipeline.totals().hits, 1U);
}

TEST_F(HitPipelineTest, HitsThatCouldNotBeCountedAreTold) {
  EXPECT_FALSE(parts_->pipeline.totals().lost_is_lower_bound);
  parts_->pipeline.on_lost_uncounted();
  EXPECT_TRUE(parts_->pipeline.totals().lost_is_lower_bound);
}

}  // namespace
}  // namespace trapline::command
