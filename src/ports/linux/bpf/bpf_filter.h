// The conditions of a watch in the form that the BPF programs evaluate. Pure.
#pragma once

#include <span>

#include "ports/linux/bpf/watch_filter.h"
#include "trapline/watch/condition.h"

namespace trapline::linux_port {

// Of the first TRAPLINE_MAX_CONDITIONS of them: it lets pass what only the others would reject.
[[nodiscard]] trapline_filter bpf_filter_for(std::span<const TypedCondition> conditions);

}  // namespace trapline::linux_port
