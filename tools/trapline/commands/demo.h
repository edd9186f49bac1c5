// `trapline demo`: the built-in example, a program with a corruption bug, caught.
#pragma once

namespace trapline::command {

// Watches the demo program that is installed beside the command and explains what is seen. Exit
// status as `watch`.
[[nodiscard]] int run_demo();

}  // namespace trapline::command
