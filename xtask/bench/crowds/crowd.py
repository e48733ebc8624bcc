"""The same number and depth of threads as in `tests/programs/crowd.rs`, for oslo.reports. `crowd.py THREADS DEPTH`"""

import signal
import sys
import threading

from oslo_reports import guru_meditation_report

# Frames of `threading` around the recursion: three below, one above.
AROUND = 4


class Version:
    """What oslo.reports needs of a program's version."""

    def vendor_string(self):
        return "gmr"

    def product_string(self):
        return "crowd"

    def version_string_with_package(self):
        return "1.0"


def descend(depth, there, end):
    if depth == 0:
        there.release()
        end.wait()
    else:
        descend(depth - 1, there, end)


def main():
    threads, depth = int(sys.argv[1]), int(sys.argv[2])
    guru_meditation_report.TextGuruMeditation.setup_autorun(Version())
    report = signal.getsignal(signal.SIGUSR2)

    def report_and_say_so(number, frame):
        report(number, frame)
        print("==== end of report ====", file=sys.stderr, flush=True)

    signal.signal(signal.SIGUSR2, report_and_say_so)
    there, end = threading.Semaphore(0), threading.Event()
    threading.stack_size(256 << 10)
    for _ in range(1, threads):
        threading.Thread(target=descend, args=(depth - AROUND - 1, there, end), daemon=True).start()
    for _ in range(1, threads):
        there.acquire()
    print("ready", flush=True)
    sys.stdin.read()


main()
