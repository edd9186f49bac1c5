#include "symbols/kernel_variables.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <expected>
#include <optional>
#include <utility>

#include "symbols/kernel_symbols.h"
#include "symbols/nearest_names.h"
#include "symbols/whole_file.h"

namespace trapline::symbols {
namespace {

constexpr std::size_t kMaxLabels = 8;
// Debian's packages without debug information have this in place of a System.map; of what follows,
// older ones leave "<version>" for the reader to fill in (debian/rules.real).
constexpr std::string_view kStub = "The real System.map is in the ";

// The letters of nm(1).
enum class SymbolClass : std::uint8_t { variable, function, other };

SymbolClass class_of(char type) {
  constexpr std::string_view kFunctions = "tTwW";
  // Absolute symbols among them: x86 kernels before 6.15 list their per-CPU variables so.
  constexpr std::string_view kVariables = "dDbBrRvVaA";
  if (kFunctions.find(type) != std::string_view::npos) return SymbolClass::function;
  if (kVariables.find(type) != std::string_view::npos) return SymbolClass::variable;
  return SymbolClass::other;
}

// Lengths that the kernel's headers promise (include/linux/jiffies.h) and the distance to the next
// symbol does not tell: these have a cache line for themselves.
struct DeclaredLength {
  std::string_view name;
  std::uint64_t length;
};
constexpr std::array<DeclaredLength, 2> kDeclaredLengths{
    {{"jiffies", sizeof(unsigned long)}, {"jiffies_64", sizeof(std::uint64_t)}}};

// The whole of a file, or the errno.
std::expected<std::string, int> read_text(const std::string& path) {
  std::string text;
  if (const int error = read_whole_file(path, text); error != 0) return std::unexpected(error);
  return text;
}

template <typename Visit>
void for_each_symbol(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const std::size_t newline = text.find('\n');
    if (const auto line = parse_kallsyms_line(text.substr(0, newline))) visit(*line);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
  }
}

struct Match {
  std::uint64_t address = 0;
  SymbolClass kind = SymbolClass::other;
  std::string module;  // "ext4"; "" for the kernel itself
};

// What the linker scripts of all architectures define (include/asm-generic/vmlinux.lds.h).
struct Landmarks {
  std::optional<std::uint64_t> text, stext, etext, end, per_cpu_start, per_cpu_end, init_begin,
      init_end;

  void note(std::string_view name, std::uint64_t address) {
    for (const auto& [known, place] : {std::pair{"_text", &text},
                                       {"_stext", &stext},
                                       {"_etext", &etext},
                                       {"_end", &end},
                                       {"__per_cpu_start", &per_cpu_start},
                                       {"__per_cpu_end", &per_cpu_end},
                                       {"__init_begin", &init_begin},
                                       {"__init_end", &init_end}}) {
      if (name == known) *place = address;
    }
  }
};

bool is_between(std::uint64_t address, std::optional<std::uint64_t> first,
                std::optional<std::uint64_t> end) {
  return first && end && *first <= address && address < *end;
}

// What one pass over a list of symbols tells of one name.
class SymbolScan {
 public:
  SymbolScan(std::string_view text, std::string_view name) {
    constexpr std::size_t kUsualLine = 40;
    addresses_.reserve(text.size() / kUsualLine);
    for_each_symbol(text, [&](const KallsymsLine& line) {
      addresses_.push_back(line.address);
      shows_addresses_ = shows_addresses_ || line.address != 0;
      const bool is_the_kernels = line.module.empty();
      has_variables_ = has_variables_ || (is_the_kernels && (line.type == 'd' || line.type == 'b'));
      if (is_the_kernels && line.name.starts_with('_')) landmarks_.note(line.name, line.address);
      if (line.name == name) add(line);
    });
  }

  [[nodiscard]] bool is_empty() const { return addresses_.empty(); }
  [[nodiscard]] bool shows_addresses() const { return shows_addresses_; }
  // Whether it is a list of everything: the linker's own marks are in shorter ones, too, but they
  // are never static.
  [[nodiscard]] bool has_variables() const { return has_variables_; }
  [[nodiscard]] const Landmarks& landmarks() const { return landmarks_; }

  // Aliases are one.
  [[nodiscard]] std::vector<Match> matches(SymbolClass kind) const {
    std::vector<Match> chosen;
    for (const Match& match : matches_) {
      const bool is_new = std::ranges::find(chosen, match.address, &Match::address) == chosen.end();
      if (match.kind == kind && is_new) chosen.push_back(match);
    }
    return chosen;
  }

  // From there to the next symbol; nullopt behind the last.
  [[nodiscard]] std::optional<std::uint64_t> room_at(std::uint64_t address) const {
    std::optional<std::uint64_t> room;
    for (const std::uint64_t other : addresses_) {
      if (other > address && (!room || other - address < *room)) room = other - address;
    }
    return room;
  }

 private:
  void add(const KallsymsLine& line) {
    std::string_view module = line.module;
    if (!module.empty()) module = module.substr(1, module.size() - 2);
    matches_.push_back({line.address, class_of(line.type), std::string(module)});
  }

  std::vector<std::uint64_t> addresses_;
  std::vector<Match> matches_;
  Landmarks landmarks_;
  bool shows_addresses_ = false;
  bool has_variables_ = false;
};

// Per-CPU variables are offsets into each CPU's own area. By themselves they lie in a section of
// the kernel's image, or (x86 before 6.15) count from zero.
bool is_per_cpu(const Match& match, const Landmarks& marks) {
  if (is_between(match.address, marks.per_cpu_start, marks.per_cpu_end)) return true;
  if (!marks.text) return false;
  // Nothing else of the kernel lies below its text.
  if (match.module.empty()) return match.address < *marks.text;
  // Modules may, but not in user space, and not in the kernel's image.
  return match.address < *marks.text / 2 || is_between(match.address, marks.text, marks.end);
}

std::string nearest_names(std::string_view text, std::string_view wanted, SymbolClass kind) {
  NearestNames nearest(wanted);
  for_each_symbol(text, [&](const KallsymsLine& line) {
    if (class_of(line.type) == kind) nearest.offer(line.name);
  });
  const auto names = nearest.take();
  return names.empty() ? std::string()
                       : fmt::format("; the nearest names are: {}", fmt::join(names, ", "));
}

// A list of symbols, and what it takes to use it.
struct SymbolList {
  std::string path;
  std::string text;
  SymbolScan scan;
  std::uint64_t shift = 0;  // from its addresses to those of the running kernel

  [[nodiscard]] std::uint64_t moved(const Match& match) const { return match.address + shift; }
};

std::optional<std::uint64_t> length_of(std::string_view name, std::optional<std::uint64_t> room) {
  const auto declared = std::ranges::find(kDeclaredLengths, name, &DeclaredLength::name);
  if (declared != kDeclaredLengths.end()) return declared->length;
  if (room == 1U || room == 2U || room == 4U || room == 8U) return room;
  return std::nullopt;
}

Failure ambiguous(std::string_view name, SymbolClass kind, const std::vector<Match>& found,
                  const SymbolList& list) {
  const bool is_variable = kind == SymbolClass::variable;
  std::vector<std::string> labels;
  for (const Match& match : found) {
    if (labels.size() == kMaxLabels) break;
    const auto length = length_of(name, list.scan.room_at(match.address));
    labels.push_back(
        fmt::format("'*{:#x}{}'{}", list.moved(match),
                    !is_variable ? ""
                    : length     ? fmt::format(":{}", *length)
                                 : ":LENGTH",
                    match.module.empty() ? "" : fmt::format(" of the module {}", match.module)));
  }
  const std::size_t more = found.size() - labels.size();
  return {Error{ErrorCode::ambiguous_name},
          fmt::format("the kernel has {} {} called {}; say which by its address: {}{}",
                      found.size(), is_variable ? "variables" : "functions", name,
                      fmt::join(labels, ", "), more > 0 ? fmt::format(" and {} more", more) : "")};
}

std::vector<std::string> notes_on(std::string_view name, const Match& match,
                                  const SymbolList& list) {
  std::vector<std::string> notes;
  if (list.shift != 0) {
    notes.push_back(fmt::format("the address of {} is that in {}, moved by {:#x} as the kernel is",
                                name, list.path, list.shift));
  }
  if (!match.module.empty())
    notes.push_back(fmt::format("{} is of the module {}", name, match.module));
  const Landmarks& marks = list.scan.landmarks();
  if (is_between(match.address, marks.init_begin, marks.init_end)) {
    notes.push_back(fmt::format(
        "{} is for the start of the kernel only: its memory is used for other things now", name));
  }
  return notes;
}

KernelVariable describe(std::string_view name, const Match& match, const SymbolList& list) {
  KernelVariable variable{.address = RemoteAddress(list.moved(match)), .length = {}, .notes = {}};
  variable.notes = notes_on(name, match, list);
  const auto room = list.scan.room_at(match.address);
  const auto length = length_of(name, room);
  if (length) {
    variable.length = ByteCount{*length};
    variable.length_known = true;
    if (length == room) {
      variable.notes.push_back(
          fmt::format("{} does not tell lengths: {} is taken to fill the {} to the next symbol",
                      list.path, name, *room == 1 ? "byte" : fmt::format("{} bytes", *room)));
    }
  } else {
    variable.notes.push_back(
        fmt::format("{} does not tell how long {} is{}", list.path, name,
                    room ? fmt::format("; the next symbol follows after {} bytes", *room) : ""));
  }
  return variable;
}

// nullopt if the list has no variable of that name.
std::optional<Result<KernelVariable>> choose_variable(std::string_view name,
                                                      const SymbolList& list) {
  auto found = list.scan.matches(SymbolClass::variable);
  if (found.empty()) return std::nullopt;
  std::erase_if(found,
                [&](const Match& match) { return is_per_cpu(match, list.scan.landmarks()); });
  if (found.empty()) {
    return fail(ErrorCode::bad_type,
                fmt::format("{} is a per-CPU variable: each CPU has its own, so there is no single "
                            "address. Watch the one you mean by its address: '*0xADDR:LENGTH'",
                            name));
  }
  if (found.size() > 1) return std::unexpected(ambiguous(name, SymbolClass::variable, found, list));
  return describe(name, found.front(), list);
}

Failure hidden_addresses(const KernelSymbolFiles& files) {
  const auto text = read_text(files.kptr_restrict);
  int level = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), level);
  // kernel/ksyms_common.c, kallsyms_show_value().
  const std::string why =
      level > 1 ? "from everybody, because kernel.kptr_restrict is 2. As root: sysctl "
                  "kernel.kptr_restrict=1"
      : level == 1
          ? "from processes without CAP_SYSLOG, because kernel.kptr_restrict is 1. Run as root"
          : "from processes without CAP_SYSLOG. Run as root";
  return {Error{ErrorCode::permission_denied}, "the kernel hides its addresses " + why};
}

Failure unreadable(const std::string& path, int error) {
  const bool is_denied = error == EACCES || error == EPERM;
  return {Error{is_denied ? ErrorCode::permission_denied : ErrorCode::os_failure, error},
          is_denied ? fmt::format("{} may not be read by this user: run as root", path)
                    : fmt::format("{} cannot be read (error {})", path, error)};
}

Result<SymbolList> read_kallsyms(std::string_view name, const KernelSymbolFiles& files) {
  auto text = read_text(files.kallsyms);
  if (!text && text.error() != ENOENT)
    return std::unexpected(unreadable(files.kallsyms, text.error()));
  SymbolScan scan(text ? std::string_view(*text) : std::string_view(), name);
  if (scan.is_empty()) {
    return fail(ErrorCode::not_supported,
                fmt::format("this kernel does not tell its symbols: {} is missing or empty "
                            "(CONFIG_KALLSYMS). Give an address instead: '*0xADDR:LENGTH'",
                            files.kallsyms));
  }
  if (!scan.shows_addresses()) return std::unexpected(hidden_addresses(files));
  return SymbolList{files.kallsyms, std::move(*text), std::move(scan)};
}

Failure without_variables(const KernelSymbolFiles& files, const std::string& what) {
  return {Error{ErrorCode::not_supported},
          fmt::format("{} of this kernel has functions only (CONFIG_KALLSYMS_ALL is not set), and "
                      "{}, or give an address: '*0xADDR:LENGTH'",
                      files.kallsyms, what)};
}

// The package that a stub names.
std::optional<std::string> package_of_stub(std::string_view text, const std::string& release) {
  const std::size_t at = text.find(kStub);
  if (at == std::string_view::npos || text.find('\n') < at) return std::nullopt;
  text.remove_prefix(at + kStub.size());
  std::string package(text.substr(0, text.find(' ')));
  constexpr std::string_view kPlaceholder = "<version>";
  if (const std::size_t hole = package.find(kPlaceholder); hole != std::string::npos)
    package.replace(hole, kPlaceholder.size(), release);
  return package;
}

// How far KASLR moved the kernel that runs from where the map has it; nullopt if the map is that of
// another kernel. CONFIG_KALLSYMS_ALL or not, kallsyms has _stext and _etext.
std::optional<std::uint64_t> shift_between(const Landmarks& map, const Landmarks& running) {
  for (const auto mark : {&Landmarks::stext, &Landmarks::text}) {
    if (!(map.*mark) || !(running.*mark)) continue;
    const std::uint64_t shift = *(running.*mark) - *(map.*mark);
    if (map.etext && running.etext && *running.etext - *map.etext != shift) return std::nullopt;
    return shift;
  }
  return std::nullopt;
}

Result<SymbolList> read_system_map(std::string_view name, const KernelSymbolFiles& files,
                                   const Landmarks& running) {
  std::string reason = fmt::format(
      "there is no System.map of {} (looked for {}): install the kernel's package with "
      "debug information",
      files.release, fmt::join(files.system_maps, ", "));
  for (const std::string& path : files.system_maps) {
    auto text = read_text(path);
    if (!text && text.error() == ENOENT) continue;
    if (!text) return std::unexpected(unreadable(path, text.error()));
    if (const auto package = package_of_stub(*text, files.release)) {
      reason = fmt::format("{} says that they are in the package {}: install that", path, *package);
      continue;
    }
    SymbolScan scan(*text, name);
    if (const auto shift = shift_between(scan.landmarks(), running))
      return SymbolList{path, std::move(*text), std::move(scan), *shift};
    reason = fmt::format("{} is not of the kernel that runs: install the one that is", path);
  }
  return std::unexpected(without_variables(files, reason));
}

Failure unknown(std::string_view name, SymbolClass kind, const SymbolList& list) {
  return {Error{ErrorCode::unknown_name},
          fmt::format("the kernel has no {} called {}{}",
                      kind == SymbolClass::variable ? "variable" : "function", name,
                      nearest_names(list.text, name, kind))};
}

}  // namespace

std::string running_kernel_release() {
  utsname names{};
  return ::uname(&names) == 0 ? std::string(names.release) : std::string();
}

std::vector<std::string> system_map_places(const std::string& release) {
  return {"/boot/System.map-" + release, "/usr/lib/debug/boot/System.map-" + release,
          "/lib/modules/" + release + "/System.map"};
}

Result<KernelVariable> find_kernel_variable(std::string_view name, const KernelSymbolFiles& files) {
  const auto kallsyms = read_kallsyms(name, files);
  if (!kallsyms) return std::unexpected(kallsyms.error());
  if (auto chosen = choose_variable(name, *kallsyms)) return std::move(*chosen);

  Failure failure;
  if (kallsyms->scan.has_variables()) {
    failure = unknown(name, SymbolClass::variable, *kallsyms);
  } else {
    const auto map = read_system_map(name, files, kallsyms->scan.landmarks());
    if (map) {
      if (auto chosen = choose_variable(name, *map)) return std::move(*chosen);
    }
    failure = map ? unknown(name, SymbolClass::variable, *map) : map.error();
  }
  if (!kallsyms->scan.matches(SymbolClass::function).empty()) {
    return fail(ErrorCode::bad_type,
                fmt::format("{} is a function: add -t x to see its calls", name));
  }
  return std::unexpected(std::move(failure));
}

Result<KernelFunction> find_kernel_function(std::string_view name, const KernelSymbolFiles& files) {
  const auto kallsyms = read_kallsyms(name, files);
  if (!kallsyms) return std::unexpected(kallsyms.error());
  const auto found = kallsyms->scan.matches(SymbolClass::function);
  if (found.size() > 1)
    return std::unexpected(ambiguous(name, SymbolClass::function, found, *kallsyms));
  if (found.size() == 1) {
    return KernelFunction{RemoteAddress(found.front().address),
                          notes_on(name, found.front(), *kallsyms)};
  }
  if (!kallsyms->scan.matches(SymbolClass::variable).empty()) {
    return fail(
        ErrorCode::bad_type,
        fmt::format("{} is a variable, and -t x is for functions: use -t w, r or rw", name));
  }
  return std::unexpected(unknown(name, SymbolClass::function, *kallsyms));
}

}  // namespace trapline::symbols
