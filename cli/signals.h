// Ctrl-C and SIGTERM ask to stop: the first sets a flag that long work looks at, so that nothing is
// left half published; a second ends the process at once, which is safe too, as any crash is (the
// same signal once more within 10 ms is the first one's echo).
// SIGUSR1 asks for one line of progress. SIGPIPE is ignored: a write then fails with EPIPE.
#pragma once

#include <atomic>

#include "base/fs.h"

namespace cairn {

/// Once, at the start of the program. A SIGINT that was ignored (a job in the background) stays so.
void install_signal_handlers();

/// From now on a mapped input file that someone cuts short ends the program with a message, exit 1.
void report_shrunken_input();

/// True from the first stop signal on. Lives as long as the process. Threads: any.
const std::atomic<bool>& stop_flag();

/// A wait for a lock that a stop signal ends.
Wait stoppable_wait(uint64_t seconds);

/// SIGINT or SIGTERM, whichever came first; 0 before.
int stop_signal();

/// True once for each SIGUSR1 (several that came close together count as one). Threads: any.
bool take_status_request();

}  // namespace cairn
