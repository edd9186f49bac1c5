// The ratios as a plot.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "bench/peers/results.h"

namespace trapline::peers {
namespace {

// In pixels.
constexpr double kWidth = 900;
constexpr double kLeft = 270;   // of the scale; names stand before it
constexpr double kRight = 740;  // of the scale; figures stand after it
constexpr double kTop = 70;
constexpr double kRow = 26;
constexpr double kBar = 14;
constexpr double kBottom = 34;  // below the last row, for the scale's figures

struct Bar {
  const Tool* tool;
  Spread ratio;
};

std::vector<Bar> bars_of(const Results& results) {
  std::vector<Bar> bars;
  for (const ToolResult& row : results.tools) {
    if (const auto ratio = ratio_of(results, row)) bars.push_back({&row.tool, *ratio});
  }
  return bars;
}

// Logarithmic: a debugger's bar would leave the others no room. Noise may bring a ratio to zero or
// below, which is drawn at the left end.
class Scale {
 public:
  explicit Scale(const std::vector<Bar>& bars) {
    for (const Bar& bar : bars) highest_ = std::max(highest_, bar.ratio.highest);
  }
  [[nodiscard]] double x(double ratio) const {
    const double part =
        std::log(std::clamp(ratio, kLowest, highest_) / kLowest) / std::log(highest_ / kLowest);
    return kLeft + part * (kRight - kLeft);
  }
  [[nodiscard]] double highest() const { return highest_; }

 private:
  static constexpr double kLowest = 0.8;
  double highest_ = 2;
};

std::string escaped(std::string_view text) {
  std::string safe;
  for (const char character : text) {
    switch (character) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      default:
        safe += character;
    }
  }
  return safe;
}

std::string_view caveat_of(const Results& results) {
  if (results.machine.is_emulated) return " (an emulator's figures)";
  return noise_of(results).empty() ? "" : " (on a busy machine)";
}

void append_grid(std::string& svg, const Scale& scale, double bottom) {
  for (double decade = 1; decade <= scale.highest(); decade *= 10) {
    for (const double step : {1.0, 2.0, 5.0}) {
      const double ratio = decade * step;
      if (ratio > scale.highest()) break;
      fmt::format_to(std::back_inserter(svg),
                     R"(<line x1="{0:.1f}" y1="{1}" x2="{0:.1f}" y2="{2}" stroke="{3}"/>)"
                     R"(<text x="{0:.1f}" y="{4}" text-anchor="middle" fill="#555">{5}</text>)"
                     "\n",
                     scale.x(ratio), kTop - 6, bottom, ratio == 1 ? "#555" : "#ddd", bottom + 18,
                     ratio);
    }
  }
}

void append_bar(std::string& svg, const Bar& bar, const Scale& scale, double y) {
  const double begin = std::min(scale.x(1), scale.x(bar.ratio.median));
  const double end = std::max(scale.x(1), scale.x(bar.ratio.median));
  const double middle = y + kBar / 2;
  fmt::format_to(std::back_inserter(svg),
                 R"(<text x="{}" y="{:.1f}" text-anchor="end">{}</text>)"
                 R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{}" fill="{}"/>)"
                 R"(<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="#222"/>)"
                 R"(<text x="{}" y="{:.1f}">{:.2f} ({:.2f} to {:.2f})</text>)",
                 kLeft - 10, y + 11, escaped(bar.tool->name), begin, y, std::max(end - begin, 1.0),
                 kBar, bar.tool->kind == Kind::trapline ? "#2266bb" : "#999999",
                 scale.x(bar.ratio.lowest), middle, scale.x(bar.ratio.highest), middle, kRight + 12,
                 y + 11, bar.ratio.median, bar.ratio.lowest, bar.ratio.highest);
  if (bar.tool->goal) {
    fmt::format_to(
        std::back_inserter(svg),
        R"(<line x1="{0:.1f}" y1="{1:.1f}" x2="{0:.1f}" y2="{2:.1f}" stroke="#cc2222" stroke-width="2"/>)",
        scale.x(*bar.tool->goal), y - 3, y + kBar + 3);
  }
  svg += '\n';
}

}  // namespace

std::string to_svg(const Results& results) {
  const std::vector<Bar> bars = bars_of(results);
  const Scale scale(bars);
  const double bottom = kTop + kRow * static_cast<double>(bars.size());
  std::string svg = fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" font-family="sans-serif" font-size="12">)"
      "\n"
      R"(<rect width="{0}" height="{1}" fill="#fff"/>)"
      R"(<text x="20" y="24" font-size="16">What one hit costs, by the trap that only counts{2}</text>)"
      R"(<text x="20" y="44" fill="#555">Bar: median; line: lowest to highest; red: goal. Linux {3}, {4}</text>)"
      "\n",
      kWidth, bottom + kBottom, caveat_of(results), escaped(results.machine.kernel),
      escaped(results.machine.processor));
  append_grid(svg, scale, bottom);
  double y = kTop;
  for (const Bar& bar : bars) {
    append_bar(svg, bar, scale, y);
    y += kRow;
  }
  return svg + "</svg>\n";
}

}  // namespace trapline::peers
