/* Input for the tests of the ELF, DWARF and unwind-table readers; build.sh has the commands. */

struct list {
    struct list *next;
    int value;
};

static inline __attribute__((always_inline)) int doubled(int value) {
    return value * 2 + value % 7;
}

static inline __attribute__((always_inline)) int sum(const struct list *list, int most) {
    int total = 0;
    for (int seen = 0; list && seen < most; list = list->next, seen++)
        total += doubled(list->value);
    return total;
}

__attribute__((noinline)) static int recursive(int depth, volatile int *sink) {
    volatile char buffer[64];
    buffer[depth & 63] = (char)depth;
    return depth ? recursive(depth - 1, sink) + buffer[depth & 63] : *sink;
}

__attribute__((cold, noinline)) static int rare(int value) {
    return value ^ 0x55;
}

__attribute__((optimize("no-omit-frame-pointer"))) int entry(const struct list *list, int most) {
    volatile int sink = most;
    int array[most > 0 ? most : 1];
    array[0] = sum(list, most);
    return array[0] < 0 ? rare(array[0]) : recursive(array[0] & 15, &sink);
}
