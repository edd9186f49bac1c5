// deps: trapline_linux
// Any bytes: refused, or an event that says the same again when written as the kernel writes it.
// Inputs of few bytes are also tried as parts of a message, which random bytes seldom are.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "ports/linux/uevent_message.h"
#include "trapline/base/cpu_set.h"

namespace {

using trapline::linux_port::parse_cpu_uevent;

std::string message(std::string_view action, std::string_view number, std::string_view sequence) {
  std::string device = "/devices/system/cpu/cpu";
  device.append(number);
  std::string text;
  text.append(action).append("@").append(device).push_back('\0');
  text.append("ACTION=").append(action).push_back('\0');
  text.append("DEVPATH=").append(device).push_back('\0');
  text.append("SUBSYSTEM=cpu").push_back('\0');
  text.append("SEQNUM=").append(sequence).push_back('\0');
  return text;
}

void check(std::string_view text) {
  const auto event = parse_cpu_uevent(text);
  if (!event) return;
  if (event->cpu.value >= trapline::kMaxCpus) std::abort();
  const std::string again =
      message(event->online ? "online" : "offline", std::to_string(event->cpu.value),
              std::to_string(event->sequence));
  if (parse_cpu_uevent(again) != event) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(text);
  constexpr std::size_t kLongestNumber = 24;
  if (size > kLongestNumber) return 0;
  check(message("online", text, "1"));
  check(message("offline", "1", text));
  check(message(text, "1", "1"));
  return 0;
}
