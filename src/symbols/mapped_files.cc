#include "symbols/mapped_files.h"

#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gelf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <expected>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

#include "symbols/candidate_names.h"
#include "symbols/elf_symbols.h"
#include "symbols/module_path.h"
#include "symbols/process_image.h"
#include "symbols/qualified_name.h"
#include "symbols/resolver.h"
#include "symbols/whole_file.h"
#include "trapline/port/memory_reader.h"

namespace trapline::symbols {
namespace {

constexpr std::size_t kMaxPlaces = 8;

class OpenFile {
 public:
  // Does not wait for a pipe's other end.
  explicit OpenFile(const std::string& path)
      : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

// A line of /proc/PID/maps that a file is behind.
struct MapsLine {
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  bool is_writable = false;
  bool is_executable = false;
  bool is_private = false;
  std::uint64_t offset = 0;
  FileIdentity file;
  std::string_view path;  // into the text
};

// Takes a number and the character behind it from the front.
template <typename Number>
bool take_number(std::string_view& text, Number& number, int base, char behind) {
  const auto [after, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  const auto count = static_cast<std::size_t>(after - text.data());
  if (error != std::errc{} || count == text.size() || text[count] != behind) return false;
  text.remove_prefix(count + 1);
  return true;
}

// "START-END PERMS OFFSET MAJOR:MINOR INODE      PATH" (fs/proc/task_mmu.c).
std::optional<MapsLine> parse_maps_line(std::string_view text) {
  constexpr int kHexadecimal = 16;
  constexpr int kDecimal = 10;
  constexpr std::size_t kPermissions = 5;  // with the space
  MapsLine line;
  if (!take_number(text, line.start, kHexadecimal, '-') ||
      !take_number(text, line.end, kHexadecimal, ' ') || text.size() < kPermissions) {
    return std::nullopt;
  }
  line.is_writable = text[1] == 'w';
  line.is_executable = text[2] == 'x';
  line.is_private = text[3] == 'p';
  text.remove_prefix(kPermissions);
  if (!take_number(text, line.offset, kHexadecimal, ' ') ||
      !take_number(text, line.file.device_major, kHexadecimal, ':') ||
      !take_number(text, line.file.device_minor, kHexadecimal, ' ') ||
      !take_number(text, line.file.inode, kDecimal, ' ')) {
    return std::nullopt;
  }
  const std::size_t path = text.find_first_not_of(' ');
  if (line.file.inode == 0 || path == std::string_view::npos) return std::nullopt;
  line.path = text.substr(path);
  return line;
}

template <typename Visit>
void for_each_file_line(std::string_view maps, Visit visit) {
  while (!maps.empty()) {
    const std::size_t newline = maps.find('\n');
    if (const auto line = parse_maps_line(maps.substr(0, newline))) visit(*line);
    maps.remove_prefix(newline == std::string_view::npos ? maps.size() : newline + 1);
  }
}

// Puts the process's maps into `text`; the errno of a failure, else 0.
int read_maps(std::string_view process, std::string& text) {
  return read_whole_file(fmt::format("/proc/{}/maps", process), text);
}

std::vector<ProcessId> list_processes() {
  std::vector<ProcessId> processes;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().string();
    ProcessId pid;
    const auto [end, failure] = std::from_chars(name.data(), name.data() + name.size(), pid.value);
    if (failure == std::errc{} && end == name.data() + name.size()) processes.push_back(pid);
  }
  std::ranges::sort(processes);
  return processes;
}

// Calls `visit` with each process and its maps; returns how many may not be read.
template <typename Visit>
std::size_t for_each_process(Visit visit) {
  std::size_t unreadable = 0;
  std::string maps;
  for (const ProcessId pid : list_processes()) {
    const int error = read_maps(std::to_string(pid.value), maps);
    if (error == EACCES || error == EPERM) ++unreadable;
    visit(pid, std::string_view(maps));
  }
  return unreadable;
}

std::string describe_unreadable(std::size_t count) {
  if (count == 0) return {};
  return fmt::format("; {} {} could not be looked at: run as root", count,
                     count == 1 ? "process" : "processes");
}

// As the kernel shows it when it is mapped, so by mapping it.
std::optional<FileIdentity> identity_of(const OpenFile& file) {
  struct ::stat facts{};
  if (!file.is_open() || ::fstat(file.get(), &facts) != 0 || !S_ISREG(facts.st_mode))
    return std::nullopt;
  void* const page = ::mmap(nullptr, 1, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (page == MAP_FAILED) return std::nullopt;
  const std::uint64_t address = RemoteAddress::of_local(page).value();
  std::string maps;
  read_maps("self", maps);
  std::optional<FileIdentity> identity;
  for_each_file_line(maps, [&](const MapsLine& line) {
    if (line.start <= address && address < line.end) identity = line.file;
  });
  ::munmap(page, 1);
  return identity;
}

// Fills in segments and kind; false if the file is no program or library.
bool read_segments(const OpenFile& file, MappedFile& mapped) {
  if (elf_version(EV_CURRENT) == EV_NONE) return false;
  const std::unique_ptr<Elf, int (*)(Elf*)> elf(elf_begin(file.get(), ELF_C_READ_MMAP, nullptr),
                                                elf_end);
  GElf_Ehdr header;
  std::size_t count = 0;
  if (elf == nullptr || gelf_getehdr(elf.get(), &header) == nullptr ||
      (header.e_type != ET_EXEC && header.e_type != ET_DYN) ||
      elf_getphdrnum(elf.get(), &count) != 0) {
    return false;
  }
  mapped.is_position_independent = header.e_type == ET_DYN;
  for (std::size_t index = 0; index < count; ++index) {
    GElf_Phdr segment;
    if (gelf_getphdr(elf.get(), static_cast<int>(index), &segment) == nullptr ||
        segment.p_type != PT_LOAD)
      continue;
    mapped.segments.push_back({segment.p_offset, segment.p_filesz, segment.p_vaddr, segment.p_memsz,
                               (segment.p_flags & PF_W) != 0, (segment.p_flags & PF_X) != 0});
  }
  std::ranges::sort(mapped.segments, {}, &LoadSegment::address);
  return !mapped.segments.empty();
}

Result<MappedFile> open_file(const std::string& path, std::string_view name) {
  const OpenFile file(path);
  if (!file.is_open()) {
    const int error = errno;
    const bool is_denied = error == EACCES || error == EPERM;
    return fail(is_denied ? ErrorCode::permission_denied : ErrorCode::os_failure,
                is_denied ? fmt::format("{} may not be read by this user: run as root", name)
                          : fmt::format("{} cannot be opened (error {})", name, error),
                error);
  }
  MappedFile mapped{.path = path, .identity = {}, .segments = {}};
  if (!read_segments(file, mapped)) {
    return fail(ErrorCode::bad_type, fmt::format("{} is not a program or a shared library", name));
  }
  const auto identity = identity_of(file);
  if (!identity) {
    return fail(
        ErrorCode::os_failure,
        fmt::format("{} cannot be mapped, so the processes that map it cannot be told", name));
  }
  mapped.identity = *identity;
  return mapped;
}

// A file that some process runs.
struct RunningFile {
  FileIdentity identity;
  std::vector<std::string> places;  // where it may be opened; the best first
};

RunningFile running_file(ProcessId pid, const MapsLine& line) {
  const std::string path(line.path);
  // The last needs rights, but finds even a file that has no name any more (proc(5)).
  return {line.file,
          {path, fmt::format("/proc/{}/root{}", pid.value, path),
           fmt::format("/proc/{}/map_files/{:x}-{:x}", pid.value, line.start, line.end)}};
}

// The place at which the file is, and not another of that name.
std::optional<std::string> place_of(const RunningFile& file) {
  for (const std::string& place : file.places) {
    if (identity_of(OpenFile(place)) == file.identity) return place;
  }
  return std::nullopt;
}

Failure several_files(std::string_view name, const std::vector<RunningFile>& files) {
  std::vector<std::string> places;
  for (const RunningFile& file : files) {
    if (places.size() < kMaxPlaces) places.push_back(place_of(file).value_or(file.places.front()));
  }
  const std::size_t more = files.size() - places.size();
  return {Error{ErrorCode::ambiguous_name},
          fmt::format("{} is the name of {} files that processes run; say which: {}{}", name,
                      files.size(), fmt::join(places, ", "),
                      more > 0 ? fmt::format(" and {} more", more) : "")};
}

// The processes' own names for what they run.
Result<MappedFile> find_running_file(std::string_view name) {
  std::vector<RunningFile> found;
  const std::size_t unreadable = for_each_process([&](ProcessId pid, std::string_view maps) {
    for_each_file_line(maps, [&](const MapsLine& line) {
      if (!line.is_executable || !is_path_tail(without_deleted(line.path), name)) return;
      if (std::ranges::find(found, line.file, &RunningFile::identity) == found.end())
        found.push_back(running_file(pid, line));
    });
  });
  if (found.empty()) {
    return fail(ErrorCode::unknown_name,
                fmt::format("there is no file {} here, and no process runs a program or library of "
                            "that name{}",
                            name, describe_unreadable(unreadable)));
  }
  if (found.size() > 1) return std::unexpected(several_files(name, found));
  const auto place = place_of(found.front());
  if (!place) {
    return fail(ErrorCode::permission_denied,
                fmt::format("{} is run by a process, but cannot be opened: run as root", name));
  }
  return open_file(*place, name);
}

// What a line tells of the file's loading: the distance of its addresses from those it was linked
// for. Nothing if the line is no part of a loaded program, only of a file that is read.
std::optional<std::uint64_t> bias_of(const MapsLine& line, const MappedFile& file,
                                     std::uint64_t page_size) {
  for (const LoadSegment& segment : file.segments) {
    // Data that is written counts because a program may have moved its code into larger pages.
    const bool is_alike = (line.is_executable && segment.is_executable) ||
                          (line.is_writable && line.is_private && segment.is_writable);
    const std::uint64_t first_page = segment.offset - segment.offset % page_size;
    if (is_alike && first_page <= line.offset && line.offset < segment.offset + segment.file_size)
      return line.start - line.offset - (segment.address - segment.offset);
  }
  return std::nullopt;
}

// Calls visit(load address, path) for each address at which these maps have the file loaded.
template <typename Visit>
void for_each_loading(const MappedFile& file, std::string_view maps, Visit visit) {
  static const auto page_size = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  // Most processes do not map it, and no line of them is worth looking at.
  const std::string key = fmt::format(" {:02x}:{:02x} {} ", file.identity.device_major,
                                      file.identity.device_minor, file.identity.inode);
  if (maps.find(key) == std::string_view::npos) return;
  std::vector<RemoteAddress> starts;
  for_each_file_line(maps, [&](const MapsLine& line) {
    const auto bias = line.file == file.identity ? bias_of(line, file, page_size) : std::nullopt;
    if (!bias) return;
    const RemoteAddress start(*bias + file.linked_start());
    if (std::ranges::find(starts, start) != starts.end()) return;
    starts.push_back(start);
    visit(start, line.path);
  });
}

// The memory of no process in particular: what is in the file's segments is there, but what it
// holds differs, so nothing can be followed.
class FileMemory final : public MemoryReader {
 public:
  explicit FileMemory(const MappedFile& file) : file_(file) {}
  [[nodiscard]] std::size_t read(RemoteAddress address, std::span<std::byte> destination) override {
    was_asked_ = true;
    const bool is_inside = std::ranges::any_of(file_.segments, [&](const LoadSegment& segment) {
      return address.value() - segment.address < segment.memory_size;
    });
    std::ranges::fill(destination, std::byte{});
    return is_inside ? destination.size() : 0;
  }
  [[nodiscard]] bool was_asked() const { return was_asked_; }

 private:
  const MappedFile& file_;
  bool was_asked_ = false;
};

// An image in which there is nothing but the file, at the addresses it was linked for.
class FileImage {
 public:
  static Result<FileImage> open(const MappedFile& file) {
    auto image = ProcessImage::open(ProcessId{::getpid()});
    if (!image) return std::unexpected(std::move(image.error()));
    Dwfl* const dwfl = (*image)->dwfl();
    // What is not reported again is dropped.
    dwfl_report_begin(dwfl);
    Dwfl_Module* const module =
        dwfl_report_elf(dwfl, file.path.c_str(), file.path.c_str(), -1, 0, true);
    const int error = dwfl_errno();
    dwfl_report_end(dwfl, nullptr, nullptr);
    if (module == nullptr) {
      return fail(ErrorCode::os_failure, fmt::format("the symbols of {} cannot be read ({})",
                                                     file.path, dwfl_errmsg(error)));
    }
    return FileImage(std::move(*image), module);
  }

  [[nodiscard]] ProcessImage& image() const { return *image_; }
  [[nodiscard]] Dwfl_Module* module() const { return module_; }

 private:
  FileImage(std::unique_ptr<ProcessImage> image, Dwfl_Module* module)
      : image_(std::move(image)), module_(module) {}

  std::unique_ptr<ProcessImage> image_;
  Dwfl_Module* module_;
};

bool is_thread_local(const FileImage& file, const NamedObject& object) {
  return std::ranges::any_of(
      find_elf_symbols(file.module(), split_name(object.name)), [](const ElfSymbol& symbol) {
        return symbol.match != NameMatch::none && symbol.kind == SymbolKind::thread_local_object;
      });
}

// Whether the dynamic linker may give a program a copy of its own (a copy relocation).
bool may_be_copied(const MappedFile& mapped, const FileImage& file, RemoteAddress address) {
  if (!mapped.is_position_independent) return false;
  const char* const symbol = dwfl_module_addrname(file.module(), address.value());
  return symbol != nullptr && find_exported(file.module(), symbol).has_value();
}

Failure explain(Failure failure, const FileImage& image, const MappedFile& file,
                const NamedObject& object) {
  const std::string file_name = std::filesystem::path(file.path).filename().string();
  if (failure.error.code == ErrorCode::bad_type && is_thread_local(image, object)) {
    failure.message = fmt::format(
        "{} is thread-local: each thread of each process has its own, so it cannot be watched in "
        "all of them; choose a process with -p",
        object.name);
  }
  if (failure.error.code == ErrorCode::ambiguous_name)
    failure.message += fmt::format(" (each behind \"{}:\")", file_name);
  return failure;
}

}  // namespace

Result<MappedFile> identify_file(std::string_view name) {
  std::error_code error;
  const auto path = std::filesystem::canonical(name, error);
  if (!error && std::filesystem::is_regular_file(path, error)) return open_file(path, name);
  return find_running_file(name);
}

FileMappings find_mappings(const MappedFile& file) {
  FileMappings found;
  found.unreadable_processes = for_each_process([&](ProcessId pid, std::string_view maps) {
    for_each_loading(file, maps, [&](RemoteAddress start, std::string_view path) {
      found.mappings.push_back({pid, start, std::string(path)});
    });
  });
  return found;
}

std::vector<RemoteAddress> find_mappings_in(const MappedFile& file, ProcessId pid) {
  std::string maps;
  // What could be read before an error counts.
  std::ignore = read_maps(std::to_string(pid.value), maps);
  std::vector<RemoteAddress> starts;
  for_each_loading(file, maps,
                   [&](RemoteAddress start, std::string_view) { starts.push_back(start); });
  return starts;
}

Result<FileVariable> find_file_function(const MappedFile& file, const Expression& expression) {
  const auto image = FileImage::open(file);
  if (!image) return std::unexpected(image.error());
  auto function = resolve_function(image->image(), expression);
  if (!function) return std::unexpected(std::move(function.error()));
  FileVariable found{.offset_from_load = function->entry.value() - file.linked_start(),
                     .length = ByteCount{1},
                     .type = {},
                     .position_independent = file.is_position_independent,
                     .notes = std::move(function->notes)};
  if (function->inlined_copies > 0)
    found.notes.push_back(fmt::format("{} is also inlined in {} places; those calls are not seen",
                                      function->name, function->inlined_copies));
  return found;
}

Result<FileVariable> find_file_variable(const MappedFile& file, const Expression& expression) {
  const auto image = FileImage::open(file);
  if (!image) return std::unexpected(image.error());
  FileMemory memory(file);
  auto resolved = resolve_object(image->image(), memory, expression);
  const auto* const object = std::get_if<NamedObject>(&expression);
  if (object == nullptr && !resolved) {
    return fail(ErrorCode::unreadable_memory,
                fmt::format("{} was not linked to have memory there: see readelf -lW {}", file.path,
                            file.path));
  }
  if (object != nullptr && memory.was_asked()) {
    return fail(ErrorCode::bad_type,
                fmt::format("this leads from {} through a pointer, to another address in each "
                            "process: watch {} itself, or choose a process with -p",
                            object->name, object->name));
  }
  if (!resolved) return std::unexpected(explain(resolved.error(), *image, file, *object));
  FileVariable variable{.offset_from_load = resolved->address.value() - file.linked_start(),
                        .length = resolved->length,
                        .type = std::move(resolved->type),
                        .position_independent = file.is_position_independent,
                        .notes = std::move(resolved->notes)};
  if (object != nullptr && may_be_copied(file, *image, resolved->address)) {
    variable.notes.push_back(
        fmt::format("a program that was linked to keep a copy of {} of its own (a copy relocation) "
                    "uses that, and is not seen",
                    object->name));
  }
  return variable;
}

}  // namespace trapline::symbols
