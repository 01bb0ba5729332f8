/* An NVML whose GPUs count, well or badly: what the library of NVIDIA's driver answers, without a GPU.
 *
 * `fake_set` changes it from the test. Energy is power integrated since the last change, shown in steps of `refresh`.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#define GPUS 4
enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15 };

static struct {
    double devices, refresh, limit; /* GPUs; s; W */
    double counter, split, init;    /* whether there is a counter; MIG mode; outcome of nvmlInit */
    double differ;                  /* whether each GPU is of a model of its own */
    struct {
        double watts, joules, since, lost, stuck, shown;
    } gpu[GPUS];
} fake;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static double counted(int place, double at) {
    return fake.gpu[place].joules + fake.gpu[place].watts * (at - fake.gpu[place].since);
}

void fake_reset(void) {
    memset(&fake, 0, sizeof fake);
    fake.devices = 1, fake.refresh = 0.02, fake.limit = 700, fake.counter = 1;
    for (int place = 0; place < GPUS; place++) {
        fake.gpu[place].watts = 70;
        fake.gpu[place].joules = 1e6 * (place + 1);
        fake.gpu[place].since = now();
    }
}

int fake_set(int place, const char *name, double value) {
    double at = now();
    double joules = counted(place, at);
    if (!strcmp(name, "watts")) fake.gpu[place].watts = value;
    else if (!strcmp(name, "joules")) joules = value;
    else if (!strcmp(name, "lost")) fake.gpu[place].lost = value;
    else if (!strcmp(name, "stuck")) {
        fake.gpu[place].stuck = value;
        fake.gpu[place].shown = joules;
    }
    else if (!strcmp(name, "devices")) fake.devices = value;
    else if (!strcmp(name, "refresh")) fake.refresh = value;
    else if (!strcmp(name, "limit")) fake.limit = value;
    else if (!strcmp(name, "counter")) fake.counter = value;
    else if (!strcmp(name, "split")) fake.split = value;
    else if (!strcmp(name, "differ")) fake.differ = value;
    else if (!strcmp(name, "init")) fake.init = value;
    else return 1;
    fake.gpu[place].joules = joules;
    fake.gpu[place].since = at;
    return 0;
}

static int place_of(void *device) { return (int)(size_t)device - 1; }

int nvmlInitWithFlags(unsigned flags) { (void)flags; return (int)fake.init; }
int nvmlShutdown(void) { return SUCCESS; }

const char *nvmlErrorString(int outcome) {
    switch (outcome) {
    case NOT_SUPPORTED: return "Not Supported";
    case NO_PERMISSION: return "Insufficient Permissions";
    case DRIVER_NOT_LOADED: return "Driver Not Loaded";
    case GPU_IS_LOST: return "GPU is lost";
    default: return "Unknown Error";
    }
}

int nvmlDeviceGetCount_v2(unsigned *count) { *count = (unsigned)fake.devices; return SUCCESS; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    if (index >= fake.devices) return INVALID_ARGUMENT;
    *device = (void *)(size_t)(index + 1);
    return SUCCESS;
}

int nvmlDeviceGetUUID(void *device, char *uuid, unsigned length) {
    snprintf(uuid, length, "GPU-%d0000000-fake", place_of(device));
    return SUCCESS;
}

int nvmlDeviceGetName(void *device, char *name, unsigned length) {
    snprintf(name, length, "Fake H100%s", fake.differ && place_of(device) ? " NVL" : "");
    return SUCCESS;
}

int nvmlDeviceGetMigMode(void *device, unsigned *current, unsigned *pending) {
    (void)device;
    *current = *pending = (unsigned)fake.split;
    return SUCCESS;
}

int nvmlDeviceGetPowerManagementLimitConstraints(void *device, unsigned *least, unsigned *most) {
    (void)device;
    *least = 200000, *most = (unsigned)(fake.limit * 1e3);
    return fake.limit ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *millijoules) {
    int place = place_of(device);
    if (fake.gpu[place].lost) return GPU_IS_LOST;
    if (!fake.counter) return NOT_SUPPORTED;
    double at = now();
    at = fake.refresh * (long long)(at / fake.refresh);
    if (at < fake.gpu[place].since) at = fake.gpu[place].since;
    double joules = fake.gpu[place].stuck ? fake.gpu[place].shown : counted(place, at);
    *millijoules = (unsigned long long)(joules * 1e3);
    return SUCCESS;
}

int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts) {
    int place = place_of(device);
    if (fake.gpu[place].lost) return GPU_IS_LOST;
    *milliwatts = (unsigned)(fake.gpu[place].watts * 1e3);
    return SUCCESS;
}
