// What explains the hits of one process: its symbols, code, call-frame information and values.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "decode/culprit.h"
#include "ports/linux/collector.h"
#include "ports/linux/remote_memory.h"
#include "symbols/address_names.h"
#include "symbols/frame_state.h"
#include "symbols/process_image.h"
#include "symbols/symbolizer.h"
#include "symbols/unwinder.h"
#include "tools/trapline/watch/value_tracker.h"
#include "trapline/base/address.h"
#include "trapline/base/units.h"

namespace trapline::command {

// Whether an address in the hit is of user mode, and so means something in its process only.
[[nodiscard]] bool has_user_code(const linux_port::Sample& sample);

class ProcessView {
 public:
  // `image`: nullptr if there is none. Then addresses have no names, no instruction is told, and
  // stacks are as the collector has them. `number`: no other view has it or will have it.
  // `program`: what is_outdated() compares with; nullopt: it is never outdated.
  ProcessView(ProcessId pid, std::unique_ptr<symbols::ProcessImage> image, std::uint64_t number,
              std::optional<std::string> program = std::nullopt);
  ProcessView(const ProcessView&) = delete;
  ProcessView& operator=(const ProcessView&) = delete;

  // Of a process at its first hit: of one that is gone already, is a thread of the kernel or may
  // not be looked at, there is no image. A process that has executed another program since the hit
  // is seen as that program: the hit comes without a mark of the program that made it.
  [[nodiscard]] static std::unique_ptr<ProcessView> open(ProcessId pid, std::uint64_t number);

  [[nodiscard]] ProcessId pid() const { return pid_; }
  // Tells this code from all other code, as report::StackKey::view: another number after refresh().
  [[nodiscard]] std::uint64_t number() const { return number_; }
  [[nodiscard]] symbols::ProcessImage* image() { return code_ ? code_->image.get() : nullptr; }
  [[nodiscard]] MemoryReader& memory() { return memory_; }
  // Of what its pointers point to; nullptr if there is no image.
  [[nodiscard]] symbols::AddressNames* names() { return code_ ? &code_->symbolizer : nullptr; }
  // Of the process's own memory.
  [[nodiscard]] ValueTracker& values() { return values_; }

  // The instruction that made the access of a hit in user mode; nullptr if unknown. Valid until the
  // next call.
  [[nodiscard]] const decode::Culprit* find_culprit(const linux_port::Sample& sample);
  // The hit's callers, innermost first: unwound, or the collector's completed. Valid until the next
  // call, and as long as the sample.
  [[nodiscard]] std::span<const RemoteAddress> find_callers(const linux_port::Sample& sample,
                                                            linux_port::StackMode mode);
  // Appends the frames of the code at `address`, the innermost inlined one first; at least one.
  void append_frames(RemoteAddress address, bool is_return_address,
                     std::vector<symbols::Frame>& frames);

  // New code appeared: what is known is to be looked up again, by refresh().
  void mark_stale() { is_stale_ = true; }
  [[nodiscard]] bool is_stale() const { return is_stale_; }
  void refresh(std::uint64_t new_number);

  // Records may have been lost: code may have appeared unseen.
  void doubt_code() { may_lack_code_ = true; }
  // After a doubt: if the hit, or a caller that the collector found, is in code that is not known,
  // looks for it, as refresh() does. At most once a second, since some programs make code that is
  // in no file; if there is nothing new, what is known stays and the number as well.
  void find_lost_code(const linux_port::Sample& sample, std::uint64_t new_number);

  // The process runs another program now, and its children still the one that is seen here: from
  // now on nothing is read of the process any more.
  void keep_old_program() { is_replaced_ = true; }

  // Whether the process runs another program than when open() looked at it, or is another process
  // with its number. False if it is gone: what is known is what it was.
  [[nodiscard]] bool is_outdated() const;

 private:
  [[nodiscard]] bool lacks_code_of(const linux_port::Sample& sample) const;
  void forget_code(std::uint64_t new_number);

  // All that needs an image.
  struct Code {
    Code(std::unique_ptr<symbols::ProcessImage> process, MemoryReader& memory);

    std::unique_ptr<symbols::ProcessImage> image;
    symbols::Symbolizer symbolizer;
    symbols::Unwinder unwinder;
    symbols::FrameState frame_state;
    symbols::ImageCode bytes;
    decode::CulpritFinder finder;
  };

  ProcessId pid_;
  std::uint64_t number_;
  // Its auxiliary vector: where the parts of the program were put. That is different for another
  // one, and nearly always for the same one executed again.
  std::optional<std::string> program_;
  linux_port::RemoteMemory memory_;
  std::unique_ptr<Code> code_;
  ValueTracker values_;
  bool is_stale_ = false;
  bool may_lack_code_ = false;
  Nanoseconds next_look_{0};  // for lost code
  bool is_replaced_ = false;
  // Of the current hit, where they are not simply the collector's.
  std::vector<RemoteAddress> callers_;
};

}  // namespace trapline::command
