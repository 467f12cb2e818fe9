// A CUDA driver without a GPU: what edge-passd calls of libcuda.so.1, on this machine's memory.
//
// RELEASE, at compile time, is the CUDA release whose driver it plays, as 12060 for 12.6: it has the
// functions that that one has. Before 10010 there are no graphs.
// In the environment: FAKE_CUDA_CAPABILITY (8.7), FAKE_CUDA_DRIVER (RELEASE), FAKE_CUDA_DEVICES (1),
// FAKE_CUDA_NAME, FAKE_CUDA_MEMORY (bytes), FAKE_CUDA_INIT (what cuInit returns);
// FAKE_CUDA_KERNELS, a library whose `edge_passd_emulate` runs a kernel and returns 0 for success;
// without it kernels do nothing; FAKE_CUDA_REPORT, a file that gets, at exit, what was left and done.
//
// `fake_fail_from_now_on` makes every kernel fail that runs after it.
//
// As a real one it refuses calls without a current context on the thread, runs nothing while it
// captures, tells of a kernel's failure only when it is waited for, and fails ever after.

#include <dlfcn.h>
#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, NO_DEVICE = 100,
    INVALID_IMAGE = 200, INVALID_CONTEXT = 201, INVALID_PTX = 218,
    INVALID_HANDLE = 400, NOT_FOUND = 500, LAUNCH_FAILED = 719, CAPTURE_INVALID = 901,
};
enum { POINTERS = 5, BLOCKS = 4096, DEFAULT_SHARED = 48 << 10, MOST_SHARED = 100 << 10 };

typedef struct { size_t size; void *memory; } Block;
typedef struct { void *code; } Module;
typedef struct { const char *name; int most_shared; } Function;
typedef struct { double milliseconds; } Event;
typedef struct {
    enum { LAUNCH, COPY, RECORD } kind;
    Function *function;
    unsigned sizes[7];
    void *pointers[POINTERS];
    void *to;
    const void *from;
    size_t size;
    Event *event;
} Step;
typedef struct { Step *steps; size_t count; } Graph;
typedef struct { Graph *recording; } Stream;

static int initialised, sticky, contexts, modules, streams, events, graphs, executables;
static int launches, replays, failing;
static double clock_ms;
static size_t used;
static Block device_blocks[BLOCKS], host_blocks[BLOCKS];
static _Thread_local void *current;
static char the_context;

static const char *setting(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

static size_t memory_size(void) { return strtoull(setting("FAKE_CUDA_MEMORY", "1000000000"), 0, 10); }

#define READY() do { if (!initialised) return NOT_INITIALIZED; } while (0)
#define IN_CONTEXT() do { \
    READY(); \
    if (sticky) return sticky; \
    if (current != &the_context || !contexts) return INVALID_CONTEXT; \
} while (0)

int cuInit(unsigned flags) {
    int status = atoi(setting("FAKE_CUDA_INIT", "0"));
    if (flags || status) return flags ? INVALID_VALUE : status;
    initialised = 1;
    return SUCCESS;
}

int cuDriverGetVersion(int *version) {
    const char *steered = getenv("FAKE_CUDA_DRIVER");
    *version = steered ? atoi(steered) : RELEASE;
    return SUCCESS;
}

int cuDeviceGetCount(int *count) { READY(); *count = atoi(setting("FAKE_CUDA_DEVICES", "1")); return SUCCESS; }
int cuDeviceGet(int *device, int ordinal) { READY(); *device = ordinal; return ordinal ? INVALID_VALUE : SUCCESS; }

int cuDeviceGetName(char *name, int size, int device) {
    READY();
    snprintf(name, size, "%s", setting("FAKE_CUDA_NAME", "Fake GPU"));
    return SUCCESS;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
    READY();
    const char *capability = setting("FAKE_CUDA_CAPABILITY", "8.7"), *dot = strchr(capability, '.');
    if (attribute != 75 && attribute != 76) return INVALID_VALUE;
    *value = atoi(attribute == 75 ? capability : dot + 1);
    return SUCCESS;
}

int cuDevicePrimaryCtxRetain(void **context, int device) {
    READY();
    contexts++;
    *context = &the_context;
    return SUCCESS;
}

static int release_context(void) { READY(); contexts--; return SUCCESS; }
int cuDevicePrimaryCtxRelease(int device) { return RELEASE < 11000 ? release_context() : INVALID_VALUE; }
#if RELEASE >= 11000
int cuDevicePrimaryCtxRelease_v2(int device) { return release_context(); }
#endif

int cuCtxSetCurrent(void *context) { READY(); current = context; return SUCCESS; }

// Memory.

static Block *block_at(Block *blocks, const void *memory) {
    for (int i = 0; i < BLOCKS; i++)
        if (blocks[i].memory == memory) return &blocks[i];
    return 0;
}

static int within(Block *blocks, const void *from, size_t size) {
    for (int i = 0; i < BLOCKS; i++) {
        const char *begin = blocks[i].memory;
        if (begin && (const char *)from >= begin && (const char *)from + size <= begin + blocks[i].size) return 1;
    }
    return 0;
}

static int take(Block *blocks, size_t size, void **memory) {
    if (!size) return INVALID_VALUE;
    Block *block = block_at(blocks, 0);
    *memory = aligned_alloc(256, (size + 255) / 256 * 256);
    memset(*memory, 0xab, size);
    *block = (Block){size, *memory};
    return SUCCESS;
}

static int give(Block *blocks, void *memory) {
    Block *block = block_at(blocks, memory);
    if (!block) return INVALID_VALUE;
    free(memory);
    *block = (Block){0, 0};
    return SUCCESS;
}

int cuMemGetInfo_v2(size_t *free_bytes, size_t *total) {
    IN_CONTEXT();
    *total = memory_size();
    *free_bytes = *total - used;
    return SUCCESS;
}

int cuMemAlloc_v2(uint64_t *address, size_t size) {
    IN_CONTEXT();
    if (size > memory_size() - used) return OUT_OF_MEMORY;
    int status = take(device_blocks, size, (void **)address);
    if (!status) used += size;
    return status;
}

int cuMemFree_v2(uint64_t address) {
    IN_CONTEXT();
    Block *block = block_at(device_blocks, (void *)address);
    if (block) used -= block->size;
    return give(device_blocks, (void *)address);
}

int cuMemHostAlloc(void **memory, size_t size, unsigned flags) { IN_CONTEXT(); return take(host_blocks, size, memory); }
int cuMemFreeHost(void *memory) { IN_CONTEXT(); return give(host_blocks, memory); }

// Images: a cubin is ELF with a section .text.NAME for each kernel, PTX has .entry NAME.

static const char *elf_kernel(const char *code, const char *name) {
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)code;
    const Elf64_Shdr *sections = (const Elf64_Shdr *)(code + header->e_shoff);
    const char *names = code + sections[header->e_shstrndx].sh_offset;
    for (int i = 0; i < header->e_shnum; i++) {
        const char *section = names + sections[i].sh_name;
        if (!strncmp(section, ".text.", 6) && !strcmp(section + 6, name)) return section + 6;
    }
    return 0;
}

int cuModuleLoadDataEx(void **module, const void *image, unsigned count, int *options, void **values) {
    IN_CONTEXT();
    const char *text = image;
    int is_elf = !memcmp(image, ELFMAG, SELFMAG);
    if (is_elf && ((const Elf64_Ehdr *)image)->e_machine != 190) return INVALID_IMAGE;
    if (!is_elf && !strstr(text, ".version")) return INVALID_IMAGE;
    if (!is_elf && strstr(text, "bad_instruction")) {
        char *log = 0;
        size_t size = 0;
        for (unsigned i = 0; i < count; i++) {
            if (options[i] == 5) log = values[i];
            if (options[i] == 6) size = (size_t)values[i];
        }
        if (log && size) snprintf(log, size, "ptxas application ptx input, line 9\n  : syntax error\n");
        return INVALID_PTX;
    }
    Module *made = malloc(sizeof *made);
    made->code = (void *)image;
    size_t size = strlen(text) + 1;
    if (is_elf) {  // as a real driver, it keeps a copy
        const Elf64_Ehdr *header = image;
        const Elf64_Shdr *sections = (const Elf64_Shdr *)(text + header->e_shoff);
        size = header->e_shoff + header->e_shnum * sizeof *sections;
        for (int i = 0; i < header->e_shnum; i++) {
            size_t end = sections[i].sh_offset + (sections[i].sh_type == SHT_NOBITS ? 0 : sections[i].sh_size);
            if (end > size) size = end;
        }
    }
    made->code = memcpy(malloc(size), image, size);
    modules++;
    *module = made;
    return SUCCESS;
}

int cuModuleGetFunction(void **function, void *module, const char *name) {
    IN_CONTEXT();
    const char *code = ((Module *)module)->code, *found = 0;
    if (!memcmp(code, ELFMAG, SELFMAG)) {
        found = elf_kernel(code, name);
    } else {
        size_t length = strlen(name);
        for (const char *at = code; !found && (at = strstr(at, ".entry ")); at++)
            if (!strncmp(at + 7, name, length) && strchr("( \n", at[7 + length])) found = at;
    }
    if (!found) return NOT_FOUND;
    Function *made = malloc(sizeof *made);
    *made = (Function){strdup(name), DEFAULT_SHARED};
    *function = made;
    return SUCCESS;
}

int cuModuleUnload(void *module) {
    IN_CONTEXT();
    free(((Module *)module)->code);
    free(module);
    modules--;
    return SUCCESS;
}

int cuFuncSetAttribute(void *function, int attribute, int value) {
    IN_CONTEXT();
    if (attribute != 8 || value > MOST_SHARED) return INVALID_VALUE;
    ((Function *)function)->most_shared = value;
    return SUCCESS;
}

// Work, now or recorded.

void fake_fail_from_now_on(void) { failing = 1; }

static void perform(const Step *step) {
    if (sticky) return;
    if (step->kind == COPY) memcpy(step->to, step->from, step->size);
    if (step->kind == RECORD) step->event->milliseconds = clock_ms;
    if (step->kind != LAUNCH) return;
    clock_ms += 1;
    launches++;
    if (failing) {
        sticky = LAUNCH_FAILED;
        return;
    }
    static int (*emulate)(const char *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void **);
    const char *path = getenv("FAKE_CUDA_KERNELS");
    if (!path) return;
    if (!emulate) {
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        *(void **)&emulate = library ? dlsym(library, "edge_passd_emulate") : 0;
        if (!emulate) {
            fprintf(stderr, "fake driver: %s\n", dlerror());
            abort();
        }
    }
    const unsigned *s = step->sizes;
    void *pointers[POINTERS];
    memcpy(pointers, step->pointers, sizeof pointers);
    if (emulate(step->function->name, s[0], s[1], s[2], s[3], s[4], s[5], s[6], pointers)) sticky = LAUNCH_FAILED;
}

static int enqueue(Stream *stream, Step step) {
    if (!stream) return INVALID_HANDLE;
    Graph *graph = stream->recording;
    if (!graph) {
        perform(&step);
        return SUCCESS;
    }
    graph->steps = realloc(graph->steps, (graph->count + 1) * sizeof step);
    graph->steps[graph->count++] = step;
    return SUCCESS;
}

int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void *stream, void **parameters, void **extra) {
    IN_CONTEXT();
    if (!gx || !gy || !gz || !bx || !by || !bz || (size_t)bx * by * bz > 1024 || extra) return INVALID_VALUE;
    if ((int)shared > ((Function *)function)->most_shared) return INVALID_VALUE;
    Step step = {LAUNCH, .function = function, .sizes = {gx, gy, gz, bx, by, bz, shared}};
    for (int i = 0; i < POINTERS; i++) memcpy(&step.pointers[i], parameters[i], sizeof(void *));
    for (int i = 0; i < POINTERS; i++)
        if (!block_at(device_blocks, step.pointers[i])) return INVALID_VALUE;
    return enqueue(stream, step);
}

int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t size, void *stream) {
    IN_CONTEXT();
    if (!within(device_blocks, (void *)to, size)) return INVALID_VALUE;
    return enqueue(stream, (Step){COPY, .to = (void *)to, .from = from, .size = size});
}

int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t size, void *stream) {
    IN_CONTEXT();
    if (!within(device_blocks, (void *)from, size)) return INVALID_VALUE;
    return enqueue(stream, (Step){COPY, .to = to, .from = (void *)from, .size = size});
}

int cuStreamCreate(void **stream, unsigned flags) {
    IN_CONTEXT();
    *stream = calloc(1, sizeof(Stream));
    streams++;
    return SUCCESS;
}

int cuStreamSynchronize(void *stream) {
    IN_CONTEXT();
    return ((Stream *)stream)->recording ? CAPTURE_INVALID : SUCCESS;
}

int cuStreamDestroy_v2(void *stream) { IN_CONTEXT(); free(stream); streams--; return SUCCESS; }

int cuEventCreate(void **event, unsigned flags) {
    IN_CONTEXT();
    *event = calloc(1, sizeof(Event));
    events++;
    return SUCCESS;
}

int cuEventRecord(void *event, void *stream) { IN_CONTEXT(); return enqueue(stream, (Step){RECORD, .event = event}); }

int cuEventElapsedTime(float *milliseconds, void *start, void *end) {
    IN_CONTEXT();
    *milliseconds = ((Event *)end)->milliseconds - ((Event *)start)->milliseconds;
    return SUCCESS;
}

int cuEventDestroy_v2(void *event) { IN_CONTEXT(); free(event); events--; return SUCCESS; }

#if RELEASE >= 10010
int cuStreamBeginCapture_v2(void *stream, int mode) {
    IN_CONTEXT();
    if (mode < 0 || mode > 2 || ((Stream *)stream)->recording) return INVALID_VALUE;
    ((Stream *)stream)->recording = calloc(1, sizeof(Graph));
    return SUCCESS;
}

int cuStreamEndCapture(void *stream, void **graph) {
    IN_CONTEXT();
    *graph = ((Stream *)stream)->recording;
    ((Stream *)stream)->recording = 0;
    graphs++;
    return *graph ? SUCCESS : CAPTURE_INVALID;
}

static int instantiate(void **executable, void *graph) {
    IN_CONTEXT();
    Graph *from = graph, *made = malloc(sizeof *made);
    *made = (Graph){memcpy(malloc(from->count * sizeof(Step) + 1), from->steps, from->count * sizeof(Step)), from->count};
    executables++;
    *executable = made;
    return SUCCESS;
}

static int with_log(void **executable, void *graph, void **node, char *log, size_t size) {
    return node || log || size ? INVALID_VALUE : instantiate(executable, graph);
}

// In every release what it was in CUDA 10.
int cuGraphInstantiate(void **executable, void *graph, void **node, char *log, size_t size) {
    return RELEASE < 11000 ? with_log(executable, graph, node, log, size) : INVALID_VALUE;
}
#if RELEASE >= 11000
int cuGraphInstantiate_v2(void **executable, void *graph, void **node, char *log, size_t size) {
    return with_log(executable, graph, node, log, size);
}
#endif
#if RELEASE >= 11040
int cuGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long flags) {
    return flags ? INVALID_VALUE : instantiate(executable, graph);
}
#endif

int cuGraphLaunch(void *executable, void *stream) {
    IN_CONTEXT();
    const Graph *graph = executable;
    replays++;
    for (size_t i = 0; i < graph->count; i++) perform(&graph->steps[i]);
    return SUCCESS;
}

static void discard(Graph *graph) { free(graph->steps); free(graph); }
int cuGraphDestroy(void *graph) { IN_CONTEXT(); discard(graph); graphs--; return SUCCESS; }
int cuGraphExecDestroy(void *executable) { IN_CONTEXT(); discard(executable); executables--; return SUCCESS; }
#endif

// Errors, and the report.

static const struct { int status; const char *name, *text; } errors[] = {
    {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {INVALID_PTX, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
};

static int describe(int status, const char **text, int as_name) {
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].status == status) {
            *text = as_name ? errors[i].name : errors[i].text;
            return SUCCESS;
        }
    *text = 0;
    return INVALID_VALUE;
}

int cuGetErrorName(int status, const char **text) { return describe(status, text, 1); }
int cuGetErrorString(int status, const char **text) { return describe(status, text, 0); }

__attribute__((destructor)) static void report(void) {
    const char *path = getenv("FAKE_CUDA_REPORT");
    FILE *file = path ? fopen(path, "w") : 0;
    if (!file) return;
    int device = 0, host = 0;
    for (int i = 0; i < BLOCKS; i++) {
        device += device_blocks[i].memory != 0;
        host += host_blocks[i].memory != 0;
    }
    fprintf(file,
            "{\"left\": {\"contexts\": %d, \"modules\": %d, \"streams\": %d, \"events\": %d, \"graphs\": %d, "
            "\"executables\": %d, \"device\": %d, \"host\": %d}, \"launches\": %d, \"replays\": %d}\n",
            contexts, modules, streams, events, graphs, executables, device, host, launches, replays);
    fclose(file);
}
