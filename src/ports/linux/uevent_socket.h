// Listens for the kernel's uevents of CPUs.
//
// Owns a netlink socket of the family NETLINK_KOBJECT_UEVENT, group 1 (the kernel; 2 is udev's).
// Any user may listen. For one thread at a time; not from a signal handler.
//
// The kernel sends to every network namespace that the first user namespace owns
// (lib/kobject_uevent.c, uevent_net_broadcast_untagged). In a container with a user namespace of
// its own the socket opens and stays silent.
#pragma once

#include <cstdint>
#include <expected>
#include <utility>
#include <vector>

#include "ports/linux/file_descriptor.h"
#include "ports/linux/uevent_message.h"
#include "trapline/base/error.h"

namespace trapline::linux_port {

class UeventSocket {
 public:
  // Errors: not_supported (a kernel without it), permission_denied (a seccomp filter),
  // limit_reached, os_failure.
  [[nodiscard]] static std::expected<UeventSocket, Error> open();

  // Becomes readable with every uevent, of CPUs and of anything else.
  [[nodiscard]] int descriptor() const { return socket_.get(); }

  enum class Completeness : std::uint8_t { complete, overrun };

  // Appends what the kernel has said of CPUs, until nothing is left to read. Never blocks.
  // overrun: messages were lost. After it has told of a loss the kernel drops everything until the
  // socket has been read empty (net/netlink/af_netlink.c, NETLINK_S_CONGESTED), so what has to be
  // looked up then must be looked up after this call. A failure to read counts as a loss.
  [[nodiscard]] Completeness read_all(std::vector<CpuUevent>& received);

 private:
  explicit UeventSocket(FileDescriptor socket) : socket_(std::move(socket)) {}

  FileDescriptor socket_;
};

// The number of the last uevent, /sys/kernel/uevent_seqnum; 0 if the kernel does not tell. A CPU
// changes before its event gets a number: whatever is looked up after this call contains the change
// that an event with this number or a lower one tells of.
[[nodiscard]] std::uint64_t last_uevent_sequence();

}  // namespace trapline::linux_port
