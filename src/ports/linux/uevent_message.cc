#include "ports/linux/uevent_message.h"

#include "ports/linux/whole_number.h"
#include "trapline/base/cpu_set.h"

namespace trapline::linux_port {
namespace {

constexpr std::string_view kFolder = "/devices/system/cpu/cpu";

// As parse_whole, without the leading zeros that the kernel does not print.
template <typename Number>
std::optional<Number> parse_plain(std::string_view text) {
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return parse_whole<Number>(text);
}

std::optional<CpuId> parse_device(std::string_view path) {
  if (!path.starts_with(kFolder)) return std::nullopt;
  const auto number = parse_plain<std::uint32_t>(path.substr(kFolder.size()));
  if (!number || *number >= kMaxCpus) return std::nullopt;
  return CpuId{*number};
}

std::optional<bool> parse_action(std::string_view action) {
  if (action == "online") return true;
  if (action == "offline") return false;
  return std::nullopt;
}

struct Fields {
  std::string_view action;
  std::string_view device;
  std::string_view subsystem;
  std::string_view sequence;
  bool made_up = false;
};

void keep(std::string_view field, Fields& fields) {
  const std::size_t equals = field.find('=');
  if (equals == std::string_view::npos) return;
  const std::string_view key = field.substr(0, equals);
  const std::string_view value = field.substr(equals + 1);
  if (key == "ACTION") fields.action = value;
  if (key == "DEVPATH") fields.device = value;
  if (key == "SUBSYSTEM") fields.subsystem = value;
  if (key == "SEQNUM") fields.sequence = value;
  if (key == "SYNTH_UUID") fields.made_up = true;
}

// Up to the NUL, which is taken away with it.
std::string_view take_field(std::string_view& message) {
  const std::size_t end = message.find('\0');
  const std::string_view field = message.substr(0, end);
  message.remove_prefix(end + 1);
  return field;
}

}  // namespace

std::optional<CpuUevent> parse_cpu_uevent(std::string_view message) {
  if (!message.ends_with('\0')) return std::nullopt;
  const std::string_view header = take_field(message);
  Fields fields;
  while (!message.empty()) keep(take_field(message), fields);

  const std::size_t at = header.find('@');
  if (at == std::string_view::npos) return std::nullopt;
  if (header.substr(0, at) != fields.action || header.substr(at + 1) != fields.device)
    return std::nullopt;
  if (fields.subsystem != "cpu" || fields.made_up) return std::nullopt;

  const auto online = parse_action(fields.action);
  const auto cpu = parse_device(fields.device);
  const auto sequence = parse_plain<std::uint64_t>(fields.sequence);
  if (!online || !cpu || !sequence) return std::nullopt;
  return CpuUevent{*cpu, *online, *sequence};
}

}  // namespace trapline::linux_port
