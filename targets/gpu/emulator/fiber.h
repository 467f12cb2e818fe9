// Fibers: calls that each have a stack, and stop amid their work until they are resumed.
//
// The switch is a few instructions that keep what a called function has to keep. `ucontext` would
// ask the system for the signal mask each time, which takes a hundred times as long.
#pragma once

#include <stdint.h>

extern "C" void edge_passd_switch(void **save_stack, void *load_stack);

#if defined(__x86_64__)

asm(R"(
.text
.hidden edge_passd_switch
.type edge_passd_switch, @function
edge_passd_switch:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
.size edge_passd_switch, .-edge_passd_switch
)");

constexpr int RETURN_TO = 6, FRAME = 8;  // words; `ret` leaves rsp as a call would

#elif defined(__aarch64__)

asm(R"(
.text
.hidden edge_passd_switch
.type edge_passd_switch, %function
edge_passd_switch:
  sub sp, sp, #160
  stp x19, x20, [sp]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size edge_passd_switch, .-edge_passd_switch
)");

constexpr int RETURN_TO = 11, FRAME = 20;

#else
#error "the emulator has a stack switch for x86-64 and aarch64 only"
#endif

// A stack that begins `entry`, which must not return, when switched to. top: a multiple of 16.
inline void *fresh_stack(char *top, void (*entry)()) {
  auto *words = reinterpret_cast<uintptr_t *>(top) - FRAME;
  for (int i = 0; i < FRAME; ++i) words[i] = 0;
  words[RETURN_TO] = reinterpret_cast<uintptr_t>(entry);
  return words;
}
