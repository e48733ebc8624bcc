"""Loads the library of `lib.rs`, and calls it from two threads."""

import ctypes
import os
import sys
import threading

pricing = ctypes.CDLL(sys.argv[1])
for name in ("pricing_init", "pricing_after_fork"):
    getattr(pricing, name).restype = ctypes.c_bool
pricing.pricing_quote.argtypes = [ctypes.c_uint64]
pricing.pricing_quote.restype = ctypes.c_uint64

# From the main thread, and before anything sends the signal: SIGUSR2 ends a process that has no
# handler for it.
if pricing.pricing_init():
    os.register_at_fork(after_in_child=pricing.pricing_after_fork)


def sell(first_order):
    order = first_order
    while True:
        pricing.pricing_quote(order)
        order += 1


for first_order in (1000, 2000):
    threading.Thread(target=sell, args=(first_order,), daemon=True).start()
print(f"ready: kill -USR2 {os.getpid()}", flush=True)
threading.Event().wait()
