/* Counts the instructions that an emulated program executes: a plugin for QEMU's user mode emulation.
 *
 *     qemu-aarch64 -plugin count_instructions.so,out=FILE,mark=NUMBER PROGRAM ...
 *
 * FILE appears when PROGRAM ends: the instructions executed until each call of getpgid(NUMBER), and
 * at last until the end, each on a line. So a program marks what is to be counted. (The call asks
 * for a process that does not exist, and changes nothing.)
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is used of QEMU's plugin interface; not every distribution ships its header. */
typedef uint64_t plugin_id;
struct plugin_info;
struct translation;
enum { NO_REGISTERS = 0 };
size_t qemu_plugin_tb_n_insns(const struct translation *);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct translation *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct translation *, void (*)(unsigned, void *), int,
                                          void *);
void qemu_plugin_register_vcpu_syscall_cb(plugin_id,
                                          void (*)(plugin_id, unsigned, int64_t, uint64_t, uint64_t,
                                                   uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                                   uint64_t));
void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);

#define EXPORT __attribute__((visibility("default")))

#ifndef INTERFACE_VERSION
#define INTERFACE_VERSION 1 /* 2 from QEMU 9.0 on */
#endif
EXPORT int qemu_plugin_version = INTERFACE_VERSION;

enum { GETPGID = 155 }; /* the system call's number on ARM */

static uint64_t executed, mark;
static FILE *out;
static pid_t process;

/* Each time that a block of code is entered, at its first instruction always. The program may have
 * several threads, hence the atomics. */
static void entered(unsigned cpu, void *instructions)
{
    (void)cpu;
    __atomic_fetch_add(&executed, (uintptr_t)instructions, __ATOMIC_RELAXED);
}

static void translated(plugin_id id, struct translation *block)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(block, entered, NO_REGISTERS,
                                         (void *)(uintptr_t)qemu_plugin_tb_n_insns(block));
}

static void print_count(void)
{
    if (getpid() == process) /* a forked child is another program */
        fprintf(out, "%llu\n",
                (unsigned long long)__atomic_load_n(&executed, __ATOMIC_RELAXED));
}

static void called(plugin_id id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c,
                   uint64_t d, uint64_t e, uint64_t f, uint64_t g, uint64_t h)
{
    (void)id, (void)cpu, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    if (number == GETPGID && a == mark)
        print_count();
}

static void ended(plugin_id id, void *nothing)
{
    (void)id, (void)nothing;
    print_count();
    if (fflush(out) || ferror(out))
        perror("count_instructions");
}

/* The value of an argument NAME=VALUE, or NULL. */
static const char *value(int count, char **arguments, const char *name)
{
    size_t length = strlen(name);

    for (int i = 0; i < count; i++)
        if (strncmp(arguments[i], name, length) == 0 && arguments[i][length] == '=')
            return arguments[i] + length + 1;
    return NULL;
}

EXPORT int qemu_plugin_install(plugin_id id, const struct plugin_info *info, int count,
                               char **arguments)
{
    const char *file = value(count, arguments, "out");
    const char *number = value(count, arguments, "mark");

    (void)info;
    if (!file || !number) {
        fprintf(stderr, "count_instructions takes out=FILE,mark=NUMBER\n");
        return -1;
    }
    out = fopen(file, "we"); /* not for the programs that this one starts */
    if (!out) {
        perror(file);
        return -1;
    }
    mark = strtoull(number, NULL, 0);
    process = getpid();
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
