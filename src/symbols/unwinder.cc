#include "symbols/unwinder.h"

#include <elfutils/libdwfl.h>

#include <cstring>

#include "symbols/dwarf_registers.h"

namespace trapline::symbols {

struct Unwinder::Impl {
  Dwfl* dwfl = nullptr;
  pid_t pid = 0;
  bool attached = false;
  bool tried = false;

  // Of the unwind that is going on.
  DwarfRegisters registers;
  std::span<const std::byte> stack;
  std::vector<RemoteAddress> callers;
  std::size_t max_frames = 0;
  bool is_first_frame = true;

  // elfutils asks for the threads there are: one, and its state is the hit's.
  static pid_t next_thread(Dwfl*, void* self, void** thread) {
    if (*thread != nullptr) return 0;
    *thread = self;
    return static_cast<Impl*>(self)->pid;
  }

  static bool get_thread(Dwfl*, pid_t, void* self, void** thread) {
    *thread = self;
    return true;
  }

  static bool set_registers(Dwfl_Thread* thread, void* self) {
    const auto& registers = static_cast<Impl*>(self)->registers;
    if (!dwfl_thread_state_registers(thread, 0, static_cast<unsigned>(registers.count),
                                     registers.values.data()))
      return false;
    if (registers.instruction_pointer)
      dwfl_thread_state_register_pc(thread, *registers.instruction_pointer);
    return true;
  }

  static bool read_stack(Dwfl*, Dwarf_Addr address, Dwarf_Word* result, void* self) {
    const auto& impl = *static_cast<Impl*>(self);
    const std::uint64_t offset = address - impl.registers.stack_pointer;
    std::uintptr_t word = 0;  // a word of the target, which is as wide as ours
    if (offset > impl.stack.size() || impl.stack.size() - offset < sizeof word) return false;
    std::memcpy(&word, impl.stack.data() + offset, sizeof word);
    *result = word;
    return true;
  }

  static int take_frame(Dwfl_Frame* frame, void* self) {
    auto& impl = *static_cast<Impl*>(self);
    Dwarf_Addr pc = 0;
    if (!dwfl_frame_pc(frame, &pc, nullptr) || impl.callers.size() >= impl.max_frames)
      return DWARF_CB_ABORT;
    if (!impl.is_first_frame && pc != 0) impl.callers.emplace_back(pc);
    impl.is_first_frame = false;
    return DWARF_CB_OK;
  }

  // The architecture comes from the first module; there is none before the process has one.
  bool attach() {
    static constexpr Dwfl_Thread_Callbacks kCallbacks{.next_thread = next_thread,
                                                      .get_thread = get_thread,
                                                      .memory_read = read_stack,
                                                      .set_initial_registers = set_registers,
                                                      .detach = nullptr,
                                                      .thread_detach = nullptr};
    if (!tried) attached = dwfl_attach_state(dwfl, nullptr, pid, &kCallbacks, this);
    tried = true;
    return attached;
  }
};

Unwinder::Unwinder(ProcessImage& image) : impl_(std::make_unique<Impl>()) {
  impl_->dwfl = image.dwfl();
  impl_->pid = image.pid().value;
}

Unwinder::~Unwinder() = default;

std::vector<RemoteAddress> Unwinder::unwind(const UserRegisters& registers,
                                            std::span<const std::byte> stack,
                                            std::size_t max_frames) {
  const auto start = to_dwarf_registers(registers);
  if (!start || !impl_->attach()) return {};
  impl_->registers = *start;
  impl_->stack = stack;
  impl_->max_frames = max_frames;
  impl_->callers.clear();
  impl_->is_first_frame = true;
  // Its result only tells whether the walk ended where a stack ends; what was walked is good either
  // way.
  dwfl_getthread_frames(impl_->dwfl, impl_->pid, Impl::take_frame, impl_.get());
  return std::move(impl_->callers);
}

}  // namespace trapline::symbols
