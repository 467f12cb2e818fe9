// Runs a launch: its blocks one after the other, a block's threads as fibers.
//
// A thread runs until it meets others, at a barrier its whole block, else its warp. So what a thread
// reads without a barrier is old for the threads that come early, in either order of the threads.

#include "runtime.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <mutex>
#include <vector>

#include "fiber.h"

#define EXPORTED extern "C" __attribute__((visibility("default")))

namespace emulator {
namespace {

constexpr unsigned MOST_THREADS = 1024;
constexpr unsigned MOST_DYNAMIC_SHARED = 227 << 10, GUARD = 1 << 10;
constexpr int POISON = 0x7f;  // huge as a float, not a number as a half, 127 as a byte

// Not a power of two: the tops of all stacks would compete for the same lines of the cache.
constexpr size_t STACK = (64 << 10) + (1 << 10) + 64;

struct Index {
  unsigned of[3];
};

// Copies under way, in groups that were committed at these counts.
struct Copies {
  struct Copy {
    void *shared;
    const void *global;
  };
  std::vector<Copy> copies;
  std::vector<size_t> groups;
};

enum State { READY, AT_BARRIER, IN_CALL, ENDED };

struct Thread {
  void *stack;
  State state;
  Call *call;
  Copies copies;
  Index index;
};

struct Failure {};

std::mutex one_launch;
Kernel *kernels;
Thread threads[MOST_THREADS];
alignas(1024) char dynamic[MOST_DYNAMIC_SHARED + GUARD];
bool descending;
bool failed;
char error[600];

// The launch under way.
Kernel *kernel;  // null before it starts
Index grid, block, here;
unsigned count, shared_bytes;
void **arrays;
Thread *current;  // null outside of the threads
void *scheduler;

void run_kernel() {
  auto **floats = reinterpret_cast<float **>(arrays);
  auto **bytes = reinterpret_cast<uchar **>(arrays);
  kernel->entry(bytes[0], bytes[1], floats[2], floats[3], floats[4]);
  current->state = ENDED;
  edge_passd_switch(&current->stack, scheduler);
  __builtin_unreachable();
}

char *stack_top(unsigned thread) {
  static char *stacks = [] {
    void *memory = mmap(nullptr, STACK * MOST_THREADS, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) fail("no memory for the threads' stacks");
    return static_cast<char *>(memory);
  }();
  return stacks + STACK * (thread + 1);
}

void stop(State state) {
  current->state = state;
  edge_passd_switch(&current->stack, scheduler);
}

void resume(Thread &thread) {
  current = &thread;
  edge_passd_switch(&scheduler, thread.stack);
  current = nullptr;
  if (failed) throw Failure{};
}

unsigned in_order(unsigned i, unsigned all) { return descending ? all - 1 - i : i; }

// Until all of them wait for the block, or have ended.
void run_warp(Thread *lanes, unsigned number) {
  for (;;) {
    Call *calls[WARP];
    unsigned calling = 0;
    for (unsigned i = 0; i < number; ++i) {
      Thread &lane = lanes[in_order(i, number)];
      if (lane.state == READY) resume(lane);
    }
    for (unsigned i = 0; i < number; ++i)
      if (lanes[i].state == IN_CALL) calls[calling++] = lanes[i].call;
    if (!calling) return;
    if (calling < WARP)
      fail("only %u of the 32 lanes of warp %td take part in a shuffle or a matrix operation",
           calling, (lanes - threads) / WARP);
    for (unsigned i = 1; i < WARP; ++i)
      if (calls[i]->answer != calls[0]->answer)
        fail("lanes 0 and %u of warp %td are in different operations of the warp", i,
             (lanes - threads) / WARP);
    calls[0]->answer(calls);
    for (unsigned i = 0; i < WARP; ++i) lanes[i].state = READY;
  }
}

void start_block() {
  if (size_t bytes = kernel->shared_end - kernel->shared_begin)
    memset(kernel->shared_begin, POISON, bytes);
  memset(dynamic, POISON, shared_bytes + GUARD);
  for (unsigned i = 0; i < count; ++i) {
    Thread &thread = threads[i];
    char *top = stack_top(i);
    thread.stack = fresh_stack(top, run_kernel);
    thread.state = READY;
    thread.copies.copies.clear();
    thread.copies.groups.clear();
    const unsigned rest = i / block.of[0];
    thread.index = {i % block.of[0], rest % block.of[1], rest / block.of[1]};
  }
}

void run_block() {
  start_block();
  for (;;) {
    const unsigned warps = (count + WARP - 1) / WARP;
    for (unsigned i = 0; i < warps; ++i) {
      const unsigned first = in_order(i, warps) * WARP;
      run_warp(threads + first, first + WARP > count ? count - first : WARP);
    }
    unsigned ended = 0, last = 0;
    for (unsigned i = 0; i < count; ++i)
      if (threads[i].state == ENDED) ++ended, last = i;
    if (ended == count) break;
    if (ended)
      fail("%u of %u threads wait for a barrier, but %u, the last of them thread %u, have ended",
           count - ended, count, ended, last);
    for (unsigned i = 0; i < count; ++i) threads[i].state = READY;
  }
  for (unsigned i = 0; i < GUARD; ++i)
    if (dynamic[shared_bytes + i] != POISON)
      fail("it wrote behind its %u bytes of dynamic shared memory", shared_bytes);
}

void check_launch(const char *name, unsigned most_threads) {
  constexpr unsigned MOST_BLOCKS[] = {0x7fffffff, 65535, 65535}, MOST[] = {1024, 1024, 64};
  count = 1;
  for (int i = 0; i < 3; ++i) {
    if (!grid.of[i] || grid.of[i] > MOST_BLOCKS[i] || !block.of[i] || block.of[i] > MOST[i])
      fail("kernel %s: no GPU runs %u x %u x %u blocks of %u x %u x %u threads", name, grid.of[0],
           grid.of[1], grid.of[2], block.of[0], block.of[1], block.of[2]);
    count *= block.of[i];
  }
  if (count > most_threads)
    fail("kernel %s: blocks of %u threads; it is compiled for at most %u", name, count,
         most_threads);
  if (shared_bytes > MOST_DYNAMIC_SHARED)
    fail("kernel %s: %u bytes of dynamic shared memory; a GPU has at most %u", name, shared_bytes,
         MOST_DYNAMIC_SHARED);
}

void run_launch(const char *name) {
  failed = false, current = nullptr, kernel = nullptr;
  Kernel *found = kernels;
  while (found && strcmp(found->name, name)) found = found->next;
  if (!found) fail("there is no kernel %s", name);
  check_launch(name, found->most_threads);
  kernel = found;
  for (unsigned z = 0; z < grid.of[2]; ++z)
    for (unsigned y = 0; y < grid.of[1]; ++y)
      for (unsigned x = 0; x < grid.of[0]; ++x) {
        here = {in_order(x, grid.of[0]), in_order(y, grid.of[1]), in_order(z, grid.of[2])};
        run_block();
      }
}

void give_value(Call *const *lanes) {
  float values[WARP];
  for (int lane = 0; lane < WARP; ++lane) values[lane] = lanes[lane]->value;
  for (int lane = 0; lane < WARP; ++lane) lanes[lane]->value = values[lanes[lane]->number];
}

}  // namespace

unsigned thread_index(int axis) { return current->index.of[axis]; }
unsigned block_index(int axis) { return here.of[axis]; }
unsigned block_size(int axis) { return block.of[axis]; }
unsigned grid_size(int axis) { return grid.of[axis]; }
void *dynamic_shared() { return dynamic; }

void add_kernel(Kernel *added) {
  added->next = kernels;
  kernels = added;
}

void fail(const char *format, ...) {
  char place[160] = "";
  if (kernel && current)
    snprintf(place, sizeof place, "kernel %s, block (%u, %u, %u), thread (%u, %u, %u): ",
             kernel->name, here.of[0], here.of[1], here.of[2], current->index.of[0],
             current->index.of[1], current->index.of[2]);
  else if (kernel)
    snprintf(place, sizeof place, "kernel %s, block (%u, %u, %u): ", kernel->name, here.of[0],
             here.of[1], here.of[2]);
  char what[400];
  va_list values;
  va_start(values, format);
  vsnprintf(what, sizeof what, format, values);
  va_end(values);
  snprintf(error, sizeof error, "%s%s", place, what);
  failed = true;
  if (!current) throw Failure{};
  edge_passd_switch(&current->stack, scheduler);
  __builtin_unreachable();
}

void meet(Call &call) {
  current->call = &call;
  stop(IN_CALL);
}

float exchange(float value, int from) {
  Call call{give_value, nullptr, nullptr, nullptr, from, value};
  meet(call);
  return call.value;
}

void check_shared(const char *function, const void *begin, int bytes, int alignment) {
  const auto *from = static_cast<const char *>(begin);
  const bool fixed = from >= kernel->shared_begin && from + bytes <= kernel->shared_end;
  if (!fixed && !(from >= dynamic && from + bytes <= dynamic + shared_bytes))
    fail("%s: not, or not only, in shared memory", function);
  if (reinterpret_cast<uintptr_t>(begin) % alignment)
    fail("%s: not at a multiple of %d bytes", function, alignment);
}

// The data arrive as late as they may, and what was there before is gone at once.
void copy_later(void *shared, const void *global) {
  check_shared("copy16", shared, 16, 16);
  if (reinterpret_cast<uintptr_t>(global) % 16) fail("copy16: global address is no multiple of 16");
  memset(shared, POISON, 16);
  current->copies.copies.push_back({shared, global});
}

void commit_copies() { current->copies.groups.push_back(current->copies.copies.size()); }

void wait_for_copies(int left) {
  auto &[copies, groups] = current->copies;
  const int arriving = static_cast<int>(groups.size()) - left;
  if (arriving <= 0) return;
  const size_t arrived = groups[arriving - 1];
  for (size_t i = 0; i < arrived; ++i) memcpy(copies[i].shared, copies[i].global, 16);
  copies.erase(copies.begin(), copies.begin() + arrived);
  groups.erase(groups.begin(), groups.begin() + arriving);
  for (size_t &group : groups) group -= arrived;
}

}  // namespace emulator

void barrier() { emulator::stop(emulator::AT_BARRIER); }

// 0, or 1 and `edge_passd_emulator_error` has the text. pointers: the kernels' five arrays.
EXPORTED int edge_passd_emulate(const char *kernel, unsigned gx, unsigned gy, unsigned gz,
                                unsigned bx, unsigned by, unsigned bz, unsigned shared_bytes,
                                void **pointers) {
  using namespace emulator;
  const std::lock_guard<std::mutex> lock(one_launch);
  grid = {gx, gy, gz}, block = {bx, by, bz};
  emulator::shared_bytes = shared_bytes, arrays = pointers;
  try {
    run_launch(kernel);
  } catch (const Failure &) {
    return 1;
  }
  return 0;
}

EXPORTED const char *edge_passd_emulator_error() { return emulator::error; }

// Whether the last blocks, warps and lanes run first from now on.
EXPORTED void edge_passd_emulator_descending(int yes) {
  const std::lock_guard<std::mutex> lock(emulator::one_launch);
  emulator::descending = yes;
}
