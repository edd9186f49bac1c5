// Reading a file whole whose size is not known before, as those of /proc are not. Blocks.
#pragma once

#include <string>

namespace trapline::symbols {

// Replaces `text` by what can be read. Returns the errno of what ended that early, else 0.
[[nodiscard]] int read_whole_file(const std::string& path, std::string& text);

}  // namespace trapline::symbols
