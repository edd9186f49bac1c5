#include "input.h"

#include <array>
#include <atomic>
#include <optional>

#include "ports/armv7_virt/interrupts.h"
#include "ports/armv7_virt/print.h"
#include "ports/armv7_virt/threads.h"
#include "ports/armv7_virt/uart.h"

namespace trapline::firmware {
namespace {

// Written by the interrupt, read by the thread of the same CPU. The UART holds back what does not
// fit in here.
class ReceivedText {
 public:
  void receive() {
    while (written_ - read_ < text_.size()) {
      const auto character = armv7_virt::uart::read();
      if (!character) return;
      text_[written_ % text_.size()] = *character;
      written_ = written_ + 1;
    }
  }
  [[nodiscard]] bool empty() const { return written_ == read_; }
  [[nodiscard]] char take() {
    const char character = text_[read_ % text_.size()];
    read_ = read_ + 1;
    return character;
  }

 private:
  std::array<char, 256> text_;
  std::atomic<std::size_t> written_{0};
  std::atomic<std::size_t> read_{0};
};
ReceivedText received;

char wait_for_character() {
  armv7_virt::wait_while([] {
    // Also what the UART holds back: it does not interrupt for that again.
    received.receive();
    return received.empty();
  });
  return received.take();
}

}  // namespace

void start_input() {
  armv7_virt::set_uart_handler([] { received.receive(); });
  armv7_virt::uart::enable_receive_interrupt();
}

std::string_view read_line(std::span<char> storage) {
  constexpr char kBackspace = '\b';
  constexpr char kDelete = '\x7f';
  std::size_t length = 0;
  std::size_t left_out = 0;
  while (true) {
    const char character = wait_for_character();
    if (character == '\r' || character == '\n') break;
    if (character == kBackspace || character == kDelete) {
      if (length == 0) continue;
      --length;
      armv7_virt::print("\b \b");
    } else if (length == storage.size()) {
      ++left_out;
    } else {
      storage[length++] = character;
      armv7_virt::print(character);
    }
  }
  armv7_virt::print('\n');
  if (left_out != 0)
    armv7_virt::print_line("the line is too long: the last ", left_out, " characters are left out");
  return {storage.data(), length};
}

}  // namespace trapline::firmware
