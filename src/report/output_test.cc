#include "report/output.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace trapline::report {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

class OutputTest : public ::testing::Test {
 protected:
  OutputTest() { std::signal(SIGPIPE, SIG_IGN); }
  ~OutputTest() override {
    std::signal(SIGPIPE, SIG_DFL);
    std::filesystem::remove(path_);
  }

  static void append(Output& output, std::string_view text) { output.buffer().append(text); }
  [[nodiscard]] std::string file_text() const {
    std::ostringstream text;
    text << std::ifstream(path_).rdbuf();
    return text.str();
  }

  const std::string path_ =
      std::filesystem::temp_directory_path() / ("trapline_output_" + std::to_string(::getpid()));
};

struct Pipe {
  explicit Pipe(int flags = 0) { EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC | flags), 0); }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close_reader();
    ::close(ends[1]);
  }
  void close_reader() {
    if (ends[0] >= 0) ::close(std::exchange(ends[0], -1));
  }
  // Until `total` bytes have come.
  [[nodiscard]] std::string read(std::size_t total) const {
    std::string text;
    std::array<char, 65536> block{};
    while (text.size() < total) {
      const ssize_t count = ::read(ends[0], block.data(), block.size());
      if (count < 0 && errno == EAGAIN) continue;
      if (count <= 0) break;
      text.append(block.data(), static_cast<std::size_t>(count));
    }
    return text;
  }
  std::array<int, 2> ends{-1, -1};
};

// More than a pipe takes at once (64 KiB), and no two pages alike.
std::string long_text() {
  std::string text;
  while (text.size() < 300'000) text += std::to_string(text.size()) + '\n';
  return text;
}

TEST_F(OutputTest, FileIsEmptiedAtFirstAndHoldsAllThatWasFlushed) {
  std::ofstream(path_) << "old text that is longer than the new one";
  auto output = Output::create(path_);
  ASSERT_TRUE(output);
  append(*output, "one\n");
  ASSERT_TRUE(output->flush());
  append(*output, "two\n");
  ASSERT_TRUE(output->flush());
  EXPECT_EQ(file_text(), "one\ntwo\n");
}

TEST_F(OutputTest, FileIsNotPassedToProgramsThatAreStarted) {
  const auto output = Output::create(path_);
  ASSERT_TRUE(output);
  int seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    if (std::filesystem::read_symlink(entry, error) != path_) continue;
    ++seen;
    const int descriptor = std::stoi(entry.path().filename());
    EXPECT_NE(::fcntl(descriptor, F_GETFD) & FD_CLOEXEC, 0);
  }
  EXPECT_EQ(seen, 1);
}

TEST_F(OutputTest, FileThatCannotBeMadeIsNamedWithTheReason) {
  const auto output = Output::create("/nowhere/hits.json");
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().error, (Error{ErrorCode::output_failed, ENOENT}));
  EXPECT_EQ(output.error().message,
            "cannot write to /nowhere/hits.json: no such file or directory");
}

TEST_F(OutputTest, FifoThatNobodyReadsIsAFailureAndNotAWait) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  ::alarm(10);  // ends the test where create() would wait forever
  const auto output = Output::create(path_);
  ::alarm(0);
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().error, (Error{ErrorCode::output_failed, ENXIO}));
  EXPECT_EQ(output.error().message, "nobody reads " + path_ + ": start the reader first");
}

TEST_F(OutputTest, FifoWithAReaderGetsAllAndItsDescriptorBlocks) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  Pipe pipe;
  pipe.close_reader();
  pipe.ends[0] = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(pipe.ends[0], 0);
  auto output = Output::create(path_);
  ASSERT_TRUE(output);
  int seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    if (std::filesystem::read_symlink(entry, error) != path_) continue;
    const int flags = ::fcntl(std::stoi(entry.path().filename()), F_GETFL);
    if ((flags & O_ACCMODE) != O_WRONLY) continue;
    ++seen;
    EXPECT_EQ(flags & O_NONBLOCK, 0);
  }
  EXPECT_EQ(seen, 1);
  append(*output, "text");
  ASSERT_TRUE(output->flush());
  EXPECT_EQ(pipe.read(4), "text");
}

TEST_F(OutputTest, SocketIsNotTakenForAFifo) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ASSERT_LT(path_.size(), sizeof address.sun_path);
  path_.copy(address.sun_path, path_.size());
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  const auto output = Output::create(path_);
  ::close(socket);
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().message, "cannot write to " + path_ + ": no such device or address");
}

TEST_F(OutputTest, SettleWaitsUntilEnoughHasGathered) {
  auto output = Output::create(path_);
  ASSERT_TRUE(output);
  append(*output, "few");
  ASSERT_TRUE(output->settle());
  EXPECT_EQ(file_text(), "");
  append(*output, long_text());
  ASSERT_TRUE(output->settle());
  EXPECT_EQ(file_text(), "few" + long_text());
  EXPECT_EQ(output->buffer().size(), 0U);
}

TEST_F(OutputTest, FullDiskIsAFailureThatStays) {
  auto output = Output::create("/dev/full");
  ASSERT_TRUE(output);
  append(*output, "x");
  const auto first = output->flush();
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().error, (Error{ErrorCode::output_failed, ENOSPC}));
  EXPECT_EQ(first.error().message, "cannot write to /dev/full: no space left on device");
  const auto second = output->flush();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, first.error().message);
}

TEST_F(OutputTest, ClosedPipeIsAFailure) {
  Pipe pipe;
  pipe.close_reader();
  Output output = Output::borrow(pipe.ends[1], "standard output");
  append(output, "x");
  const auto flushed = output.flush();
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().error, (Error{ErrorCode::output_failed, EPIPE}));
  EXPECT_EQ(flushed.error().message, "cannot write to standard output: broken pipe");
}

TEST_F(OutputTest, NothingIsWrittenAfterAFailureEvenIfThereIsRoomAgain) {
  // A non-blocking pipe is full; once it was given up, its reader makes room.
  Pipe pipe(O_NONBLOCK);
  Output output = Output::borrow(pipe.ends[1], "pipe");
  output.hurry();
  append(output, long_text());
  ASSERT_FALSE(output.flush());
  const std::string torn = pipe.read(1);
  EXPECT_LT(torn.size(), long_text().size());
  append(output, "later");
  EXPECT_FALSE(output.flush());
  EXPECT_EQ(output.buffer().size(), 0U);
  char rest = 0;
  EXPECT_EQ(::read(pipe.ends[0], &rest, 1), -1);
  EXPECT_EQ(errno, EAGAIN);
}

TEST_F(OutputTest, ShortWritesToASlowReaderLoseNothing) {
  Pipe pipe;
  const std::string text = long_text();
  std::string received;
  std::thread reader([&] { received = pipe.read(text.size()); });
  Output output = Output::borrow(pipe.ends[1], "pipe");
  append(output, text);
  EXPECT_TRUE(output.flush());
  reader.join();
  EXPECT_EQ(received, text);
}

TEST_F(OutputTest, NonBlockingDescriptorIsWaitedFor) {
  Pipe pipe(O_NONBLOCK);
  const std::string text = long_text();
  std::string received;
  std::thread reader([&] {
    std::this_thread::sleep_for(milliseconds(20));
    received = pipe.read(text.size());
  });
  Output output = Output::borrow(pipe.ends[1], "pipe");
  append(output, text);
  EXPECT_TRUE(output.flush());
  reader.join();
  EXPECT_EQ(received, text);
}

TEST_F(OutputTest, InterruptedWriteGoesOn) {
  struct sigaction on_alarm{};
  struct sigaction before{};
  on_alarm.sa_handler = [](int) {};  // without SA_RESTART: write() returns EINTR
  ASSERT_EQ(::sigaction(SIGALRM, &on_alarm, &before), 0);
  Pipe pipe;
  const std::string text = long_text();
  std::string received;
  const pthread_t writer = ::pthread_self();
  std::thread reader([&] {
    for (int i = 0; i < 20; ++i) {
      ::pthread_kill(writer, SIGALRM);
      std::this_thread::sleep_for(milliseconds(1));
    }
    received = pipe.read(text.size());
  });
  Output output = Output::borrow(pipe.ends[1], "pipe");
  append(output, text);
  EXPECT_TRUE(output.flush());
  reader.join();
  ASSERT_EQ(::sigaction(SIGALRM, &before, nullptr), 0);
  EXPECT_EQ(received, text);
}

TEST_F(OutputTest, ReaderThatStoppedReadingIsGivenUpOnceAStopIsAsked) {
  Pipe pipe;
  const int stop = ::eventfd(0, EFD_CLOEXEC);
  Output output = Output::borrow(pipe.ends[1], "standard output");
  output.stop_waiting_on(stop);
  std::thread stopper([&] {
    std::this_thread::sleep_for(milliseconds(50));
    const std::uint64_t one = 1;
    EXPECT_EQ(::write(stop, &one, sizeof one), static_cast<ssize_t>(sizeof one));
  });
  append(output, long_text());
  const auto began = steady_clock::now();
  const auto flushed = output.flush();
  const auto took = steady_clock::now() - began;
  stopper.join();
  ::close(stop);
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().error, (Error{ErrorCode::output_failed, ETIMEDOUT}));
  EXPECT_EQ(flushed.error().message,
            "cannot write to standard output: its reader has stopped reading");
  EXPECT_GE(took, milliseconds(1000));
}

TEST_F(OutputTest, ReaderThatStillReadsGetsAllAlthoughAStopIsAsked) {
  Pipe pipe;
  const int stop = ::eventfd(1, EFD_CLOEXEC);
  const std::string text = long_text();
  std::string received;
  std::thread reader([&] {
    std::this_thread::sleep_for(milliseconds(50));
    received = pipe.read(text.size());
  });
  Output output = Output::borrow(pipe.ends[1], "standard output");
  output.stop_waiting_on(stop);
  append(output, text);
  EXPECT_TRUE(output.flush());
  reader.join();
  ::close(stop);
  EXPECT_EQ(received, text);
}

TEST_F(OutputTest, ReaderThatStoppedReadingIsGivenUpWhenTheWatchIsOver) {
  Pipe pipe;
  Output output = Output::borrow(pipe.ends[1], "standard output");
  output.hurry();
  append(output, long_text());
  const auto flushed = output.flush();
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().error.os_errno, ETIMEDOUT);
}

TEST_F(OutputTest, MovedOutputKeepsItsFileAndText) {
  auto created = Output::create(path_);
  ASSERT_TRUE(created);
  append(*created, "kept");
  Output moved = std::move(*created);
  ASSERT_TRUE(moved.flush());
  EXPECT_EQ(file_text(), "kept");
}

}  // namespace
}  // namespace trapline::report
