// Numbers that assembly and C++ share; stacks.h and cpu.cc check them.
#pragma once

// Of a CPU's thread, within trapline_stacks, for CPU 0: a guard page and the stack.
#define TASK_STACK_TOP (4096 + 131072)
// Of the handlers of aborts; a power of two.
#define ABORT_STACK_SIZE 16384
// Cpu::task_stack_top and Cpu::emergency_stack_top.
#define CPU_TASK_STACK_TOP 0
#define CPU_EMERGENCY_STACK_TOP 4
