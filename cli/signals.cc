#include "cli/signals.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>

namespace cairn {
namespace {

std::atomic<bool> g_stop{false};
std::atomic<int> g_stop_signal{0};
std::atomic<int64_t> g_stopped_at{0};
std::atomic<bool> g_status_asked{false};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free &&
                  std::atomic<int64_t>::is_always_lock_free,
              "signal handlers may touch lock-free atomics only");

/// `timeout` and others send one signal to a process and at nearly the same time to its group,
/// which the process is in. Nobody asks twice so quickly.
constexpr int64_t kEchoMaxNs = 10'000'000;

int64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);  // may be called in a signal handler
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

extern "C" void on_stop(int number) {
  const int error = errno;
  const int64_t now = monotonic_ns();
  int first = 0;
  if (g_stop_signal.compare_exchange_strong(first, number)) {
    g_stopped_at.store(now);
    g_stop.store(true);
  } else if (first != number || now - g_stopped_at.load() > kEchoMaxNs) {
    _exit(128 + number);
  }
  errno = error;
}

extern "C" void on_status(int) { g_status_asked.store(true); }

extern "C" void on_shrunken_input(int) {
  static constexpr char kText[] = "cairn: an input file became shorter while it was read\n";
  (void)!write(STDERR_FILENO, kText, sizeof kText - 1);
  _exit(1);
}

void handle(int number, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  // Libraries below are not written for EINTR; work notices the flag between its steps.
  action.sa_flags = SA_RESTART;
  sigaction(number, &action, nullptr);
}

bool is_ignored(int number) {
  struct sigaction action = {};
  return sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

void install_signal_handlers() {
  if (!is_ignored(SIGINT)) handle(SIGINT, on_stop);
  handle(SIGTERM, on_stop);
  handle(SIGUSR1, on_status);
  handle(SIGPIPE, SIG_IGN);
}

void report_shrunken_input() { handle(SIGBUS, on_shrunken_input); }

const std::atomic<bool>& stop_flag() { return g_stop; }
Wait stoppable_wait(uint64_t seconds) { return {std::chrono::seconds(seconds), &g_stop}; }
int stop_signal() { return g_stop_signal.load(); }
bool take_status_request() { return g_status_asked.exchange(false); }

}  // namespace cairn
