#include "ports/fake/shared_memory.h"

#include <cstdio>
#include <cstdlib>

namespace trapline::fake {

void fail(const char* message) {
  if (Scheduler* scheduler = Scheduler::active(); scheduler != nullptr)
    scheduler->violation(message);
  std::fprintf(stderr, "fake machine: %s\n", message);
  std::abort();
}

std::string Context::name() const {
  return cpu ? "hotplug thread of CPU " + std::to_string(cpu->value)
             : "thread " + std::to_string(number);
}

// Whether a load by `reader` can come out differently if others run first. Keeping the scheduler
// from choosing where nothing can differ is what makes exploring affordable.
bool Word::may_change_beside(const Context& reader) const {
  if (owner_ == nullptr) return true;
  // A hotplug thread stores to its word only if a callback takes the read lock, which is a bug and
  // ends the run.
  return owner_ != &reader && !owner_->cpu && !owner_->has_ended;
}

std::uint32_t Word::load() const {
  Scheduler* scheduler = Scheduler::active();
  if (scheduler == nullptr) return value_;
  const Context& context = scheduler->current();
  if (may_change_beside(context))
    scheduler->before({.kind = Operation::Kind::load, .object = this});
  return context.stores.newest(*this).value_or(value_);
}

void Word::store(std::uint32_t value) {
  Scheduler* scheduler = Scheduler::active();
  if (scheduler == nullptr) {
    value_ = value;
    return;
  }
  Context& context = scheduler->current();
  const Operation operation{.kind = Operation::Kind::store, .object = this, .value = value};
  scheduler->before(operation);
  // Stores do not overtake each other: behind a delayed one, this one waits too.
  if (context.stores.empty() && !scheduler->has_rare_outcome(operation)) {
    value_ = value;
  } else {
    context.stores.push(*this, value);
  }
}

void Word::wait_while_equal(std::uint32_t value) {
  Scheduler* scheduler = Scheduler::active();
  if (scheduler == nullptr) {
    if (value_ == value) fail("a context waits for a word that nobody else can change");
    return;
  }
  const Operation operation{.kind = Operation::Kind::wait, .object = this, .value = value};
  scheduler->before(operation);
  scheduler->current().stores.drain();
  if (value_ == value && !scheduler->has_rare_outcome(operation)) scheduler->sleep_on(operation);
}

void Word::wake() {
  Scheduler* scheduler = Scheduler::active();
  if (scheduler == nullptr) return;
  scheduler->before({.kind = Operation::Kind::wake, .object = this});
  scheduler->current().stores.drain();
  scheduler->wake_all(this);
}

std::optional<std::uint32_t> StoreBuffer::newest(const Word& word) const {
  for (std::size_t index = count_; index-- > 0;) {
    if (entries_[index].word == &word) return entries_[index].value;
  }
  return std::nullopt;
}

void StoreBuffer::push(Word& word, std::uint32_t value) {
  if (count_ == entries_.size()) drain();
  entries_[count_++] = {&word, value};
}

void StoreBuffer::drain() {
  for (std::size_t index = 0; index < count_; ++index)
    entries_[index].word->value_ = entries_[index].value;
  count_ = 0;
}

void Mutex::lock() {
  if (Scheduler* scheduler = Scheduler::active(); scheduler != nullptr) {
    const Operation operation{.kind = Operation::Kind::lock, .object = this};
    scheduler->before(operation);
    scheduler->current().stores.drain();
    while (is_locked_) scheduler->sleep_on(operation);
  } else if (is_locked_) {
    fail("a mutex is locked twice");
  }
  is_locked_ = true;
}

// No choice for the scheduler here: whatever others could do before an unlock they can do, with the
// same outcome, before the lock or after the unlock.
void Mutex::unlock() {
  is_locked_ = false;
  if (Scheduler* scheduler = Scheduler::active(); scheduler != nullptr) {
    scheduler->current().stores.drain();
    scheduler->wake_all(this);
  }
}

}  // namespace trapline::fake
