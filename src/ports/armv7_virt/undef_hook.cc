#include "ports/armv7_virt/undef_hook.h"

#include "isa/armv7/instruction_at.h"
#include "ports/armv7_virt/spinlock.h"

namespace trapline::armv7_virt {

class UndefHooks {
 public:
  void add(UndefHook& hook) {
    const SpinlockGuard lock(lock_);
    if (link_to(hook).load(std::memory_order_relaxed) != nullptr) return;
    hook.next_.store(first_.load(std::memory_order_relaxed), std::memory_order_relaxed);
    // Pairs with the acquire in call: whoever finds the hook finds it whole.
    first_.store(&hook, std::memory_order_release);
  }
  void remove(UndefHook& hook) {
    {
      const SpinlockGuard lock(lock_);
      std::atomic<UndefHook*>& link = link_to(hook);
      if (link.load(std::memory_order_relaxed) == nullptr) return;
      link.store(hook.next_.load(std::memory_order_relaxed), std::memory_order_seq_cst);
    }
    // Sequentially consistent with call: who does not see the hook gone is seen here.
    while (walkers_.load(std::memory_order_seq_cst) != 0) {
    }
  }
  [[nodiscard]] bool call(ExceptionFrame& frame) {
    const std::uint32_t instruction = isa::armv7::instruction_at(frame.pc, frame.is_thumb());
    walkers_.fetch_add(1, std::memory_order_seq_cst);
    bool is_done = false;
    for (UndefHook* hook = first_.load(std::memory_order_seq_cst); hook != nullptr && !is_done;
         hook = hook->next_.load(std::memory_order_seq_cst)) {
      is_done = hook->matches(instruction, frame.cpsr) && hook->handler_(frame, instruction);
    }
    walkers_.fetch_sub(1, std::memory_order_release);
    return is_done;
  }

 private:
  // What points to the hook; the end of the list if nothing does.
  [[nodiscard]] std::atomic<UndefHook*>& link_to(const UndefHook& hook) {
    std::atomic<UndefHook*>* link = &first_;
    for (UndefHook* it = link->load(); it != nullptr && it != &hook; it = link->load())
      link = &it->next_;
    return *link;
  }

  Spinlock lock_;  // one change at a time; who only walks does not take it
  std::atomic<UndefHook*> first_{nullptr};
  std::atomic<std::uint32_t> walkers_{0};  // CPUs that walk the list or run a handler
};

namespace {
UndefHooks hooks;
}  // namespace

void register_undef_hook(UndefHook& hook) {
  hooks.add(hook);
}

void unregister_undef_hook(UndefHook& hook) {
  hooks.remove(hook);
}

bool call_undef_hooks(ExceptionFrame& frame) {
  return hooks.call(frame);
}

}  // namespace trapline::armv7_virt
