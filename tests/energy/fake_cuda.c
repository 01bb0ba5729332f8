/* A CUDA driver that writes down what is asked of it. FAKE_CUDA holds: outcome of cuDeviceGetCount, devices, the one
 * with a primary context (-1 for none), outcome of cuCtxSynchronize.
 */
#include <stdio.h>
#include <stdlib.h>

static int count_outcome, devices, active, sync_outcome;

__attribute__((constructor)) static void configure(void) {
    const char *text = getenv("FAKE_CUDA");
    if (!text || sscanf(text, "%d %d %d %d", &count_outcome, &devices, &active, &sync_outcome) != 4) abort();
    setvbuf(stdout, NULL, _IONBF, 0);
}

int cuDeviceGetCount(int *count) { *count = devices; return count_outcome; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal + 40; return 0; }
int cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *is_active) {
    *flags = 0, *is_active = device == active + 40;
    return 0;
}
int cuDevicePrimaryCtxRetain(void **context, int device) {
    printf("retain %d\n", device);
    *context = (void *)((size_t)0x700000000000 + device); /* more than 32 bits */
    return 0;
}
int cuCtxPushCurrent_v2(void *context) { printf("push %zx\n", (size_t)context); return 0; }
int cuCtxSynchronize(void) { printf("synchronise\n"); return sync_outcome; }
int cuCtxPopCurrent_v2(void **context) { printf("pop\n"); *context = 0; return 0; }
int cuDevicePrimaryCtxRelease_v2(int device) { printf("release %d\n", device); return 0; }
