#include "ports/linux/uevent_socket.h"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "ports/linux/proc_fs.h"

namespace trapline::linux_port {
namespace {

constexpr std::uint32_t kKernelGroup = 1;
// The fields have 2048 bytes (include/linux/kobject.h, UEVENT_BUFFER_SIZE), the first line a path.
constexpr std::size_t kMessageBytes = 8192;

std::unexpected<Error> refusal(int error) {
  switch (error) {
    case EPROTONOSUPPORT:
    case EAFNOSUPPORT:
      return std::unexpected(Error{ErrorCode::not_supported, error});
    case EACCES:
    case EPERM:
      return std::unexpected(Error{ErrorCode::permission_denied, error});
    case EMFILE:
    case ENFILE:
      return std::unexpected(Error{ErrorCode::limit_reached, error});
    default:
      return std::unexpected(Error{ErrorCode::os_failure, error});
  }
}

}  // namespace

std::expected<UeventSocket, Error> UeventSocket::open() {
  FileDescriptor socket(
      ::socket(AF_NETLINK, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT));
  if (!socket.is_open()) return refusal(errno);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = kKernelGroup;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return refusal(errno);
  return UeventSocket(std::move(socket));
}

UeventSocket::Completeness UeventSocket::read_all(std::vector<CpuUevent>& received) {
  Completeness completeness = Completeness::complete;
  std::array<char, kMessageBytes> buffer;
  while (true) {
    sockaddr_nl sender{};
    iovec piece{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_name = &sender;
    message.msg_namelen = sizeof sender;
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    const ssize_t count = ::recvmsg(socket_.get(), &message, 0);
    if (count < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return completeness;
      completeness = Completeness::overrun;
      if (errno == ENOBUFS) continue;
      return completeness;
    }
    // Processes send from port numbers of their own; 0 is the kernel's.
    if (sender.nl_pid != 0 || (message.msg_flags & MSG_TRUNC) != 0) continue;
    const std::string_view text(buffer.data(), static_cast<std::size_t>(count));
    if (const auto event = parse_cpu_uevent(text)) received.push_back(*event);
  }
}

std::uint64_t last_uevent_sequence() {
  const auto number = read_number("/sys/kernel/uevent_seqnum");
  return number && *number > 0 ? static_cast<std::uint64_t>(*number) : 0;
}

}  // namespace trapline::linux_port
