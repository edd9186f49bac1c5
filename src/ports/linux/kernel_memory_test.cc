#include "ports/linux/kernel_memory.h"

#include <elf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <ios>
#include <string>
#include <vector>

namespace trapline::linux_port {
namespace {

constexpr std::uint64_t kBase = 0xffff'8880'0000'0000;
constexpr std::uint64_t kText = 0xffff'ffff'8100'0000;

struct Piece {
  std::uint64_t address;
  std::string content;
  std::uint32_t type = PT_LOAD;
};

// A core file as the kernel lays it out: headers, then memory.
class CoreFile {
 public:
  explicit CoreFile(const std::vector<Piece>& pieces) {
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_type = ET_CORE;
    header.e_phoff = sizeof header;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = static_cast<Elf64_Half>(pieces.size());
    std::string headers(reinterpret_cast<const char*>(&header), sizeof header);
    std::string memory;
    for (const Piece& piece : pieces) {
      Elf64_Phdr program{};
      program.p_type = piece.type;
      program.p_vaddr = piece.address;
      program.p_filesz = piece.content.size();
      program.p_offset = sizeof header + pieces.size() * sizeof program + memory.size();
      headers.append(reinterpret_cast<const char*>(&program), sizeof program);
      memory += piece.content;
    }
    write(headers + memory);
  }
  explicit CoreFile(const std::string& bytes) { write(bytes); }
  CoreFile(const CoreFile&) = delete;
  CoreFile& operator=(const CoreFile&) = delete;
  ~CoreFile() { ::close(descriptor_); }

  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }
  [[nodiscard]] std::string bytes() const {
    std::ifstream in(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void cut(std::uint64_t length) const {
    ASSERT_EQ(::ftruncate(descriptor_, static_cast<off_t>(length)), 0);
  }

 private:
  void write(const std::string& bytes) {
    ASSERT_EQ(::write(descriptor_, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }

  int descriptor_ = ::memfd_create("core", MFD_CLOEXEC);
};

std::string read(KernelMemory& memory, std::uint64_t address, std::size_t length) {
  std::string text(length, '?');
  text.resize(memory.read(RemoteAddress(address), std::as_writable_bytes(std::span(text))));
  return text;
}

TEST(KernelMemory, AddressesAreFoundByTheProgramHeaders) {
  const CoreFile file({{0, "a note", PT_NOTE}, {kText, "code"}, {kBase, "0123456789"}});
  KernelMemory memory(file.path());
  ASSERT_FALSE(memory.obstacle()) << memory.obstacle()->message;
  EXPECT_EQ(read(memory, kText, 4), "code");
  EXPECT_EQ(read(memory, kBase, 10), "0123456789");
  EXPECT_EQ(read(memory, kBase + 3, 4), "3456");
}

TEST(KernelMemory, ReadsAcrossSegmentsThatMeetAndStopsBehindThem) {
  const CoreFile file({{kBase + 4, "4567"}, {kBase, "0123"}});
  KernelMemory memory(file.path());
  EXPECT_EQ(read(memory, kBase + 2, 4), "2345");
  EXPECT_EQ(read(memory, kBase + 2, 10), "234567");
  EXPECT_EQ(read(memory, kBase + 8, 1), "");
  EXPECT_EQ(read(memory, kBase - 1, 4), "");
}

TEST(KernelMemory, SegmentThatEndsTheAddressSpaceIsReadToItsEnd) {
  const CoreFile file({{~std::uint64_t{3}, "last"}, {0, "first"}});
  KernelMemory memory(file.path());
  EXPECT_EQ(read(memory, ~std::uint64_t{3}, 8), "last");
}

TEST(KernelMemory, NotesAreNotMemory) {
  const CoreFile file({{0, "a note", PT_NOTE}, {kBase, "0123"}});
  KernelMemory memory(file.path());
  EXPECT_EQ(read(memory, 0, 4), "");
}

TEST(KernelMemory, FileThatEndsEarlyReadsShort) {
  const CoreFile file({{kBase, "0123456789"}});
  KernelMemory memory(file.path());
  file.cut(file.bytes().size() - 4);
  EXPECT_EQ(read(memory, kBase, 10), "012345");
}

TEST(KernelMemory, NoPrefixOfACoreFileIsTakenForOne) {
  const CoreFile whole({{kBase, ""}, {kText, ""}});
  const std::string bytes = whole.bytes();
  ASSERT_FALSE(KernelMemory(whole.path()).obstacle());
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    const CoreFile cut(bytes.substr(0, length));
    KernelMemory memory(cut.path());
    ASSERT_TRUE(memory.obstacle()) << length;
    EXPECT_EQ(memory.obstacle()->error.code, ErrorCode::not_supported);
    EXPECT_EQ(read(memory, kBase, 1), "");
  }
}

TEST(KernelMemory, WhatIsMissingIsTold) {
  KernelMemory memory("/nowhere/kcore");
  ASSERT_TRUE(memory.obstacle());
  EXPECT_EQ(memory.obstacle()->error, (Error{ErrorCode::not_supported, ENOENT}));
  EXPECT_NE(memory.obstacle()->message.find("CONFIG_PROC_KCORE"), std::string::npos);
  EXPECT_EQ(read(memory, kBase, 1), "");
}

// 0 if kallsyms does not list it, or does not tell.
std::uint64_t address_of(const std::string& wanted) {
  std::ifstream kallsyms("/proc/kallsyms");
  std::string address;
  std::string type;
  std::string name;
  while (kallsyms >> address >> type >> name) {
    if (name == wanted) return std::stoull(address, nullptr, 16);
    kallsyms.ignore(1024, '\n');
  }
  return 0;
}

TEST(KernelMemory, ReadsTheRunningKernelsBanner) {
  KernelMemory memory;
  if (memory.obstacle()) GTEST_SKIP() << memory.obstacle()->message;
  const std::uint64_t banner = address_of("linux_banner");
  if (banner == 0) GTEST_SKIP() << "this kernel does not tell where its linux_banner is";
  EXPECT_EQ(read(memory, banner, 14), "Linux version ");
  std::ifstream version("/proc/version");
  std::string line;
  ASSERT_TRUE(std::getline(version, line));
  EXPECT_EQ(read(memory, banner, line.size()), line);
}

}  // namespace
}  // namespace trapline::linux_port
