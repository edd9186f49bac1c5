// Arm's two instruction sets in ELF: of a symbol of a function in Thumb code, bit 0 is set, which
// is no part of its address.
//
// Source: ELF for the Arm Architecture (IHI 0044), 5.5.3 (symbol values), 5.5.5 (mapping symbols).
#pragma once

#include <elfutils/libdwfl.h>

#include <string_view>

#include "symbols/process_image.h"
#include "trapline/base/address.h"

namespace trapline::symbols {

// 1 in a file for Arm of 32 bits, else 0: what no address of code has set.
[[nodiscard]] GElf_Addr thumb_bit(Dwfl_Module* module);

// "$a", "$t", "$d", "$x", "$t.1": where code and data begin in a section. They name nothing.
[[nodiscard]] bool is_mapping_symbol(std::string_view name);

// Whether the function there is Thumb code: by its symbol; where there is none, by an address that
// no instruction of Arm's has.
[[nodiscard]] bool is_thumb_function(ProcessImage& image, RemoteAddress entry);

}  // namespace trapline::symbols
