// How far a long command is. The command adds to atomics; a thread of Progress shows them: a bar on
// a terminal, a line every 10 s elsewhere, a JSON line a second under --json=lines, and one line
// whenever SIGUSR1 asks. ProgressView is the arithmetic and the text, with time passed in.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/progress_counters.h"
#include "cli/output.h"
#include "store/remote/open_backend.h"

namespace cairn {

enum class ProgressMode : uint8_t {
  kAuto,   ///< a bar on a terminal, else lines
  kPlain,  ///< lines
  kNone,   ///< only what SIGUSR1 asks for
};

/// One look at the counters.
struct ProgressState {
  uint64_t total_bytes = 0;
  uint64_t done_bytes = 0;
  uint64_t new_bytes = 0;
  double elapsed_s = 0;
  double bytes_per_s = 0;       ///< over the last 10 s
  uint64_t retries = 0;         ///< of requests
  std::optional<double> eta_s;  ///< absent while the total or the rate is not known
};

/// ", 3 retries"; nothing where there were none.
std::string retries_text(uint64_t retries);

class ProgressView {
 public:
  explicit ProgressView(std::string title) : title_(std::move(title)) {}
  /// Takes in a look at the counters, `elapsed_s` seconds after the start. Times must not go back.
  void look(const ProgressCounters& counters, double elapsed_s, uint64_t retries = 0);
  const ProgressState& state() const { return state_; }
  /// `import: 1.0 GiB of 4.0 GiB (25.0 %), new 12 MiB, 512 MiB/s, 0:06 left`, and `, 3 retries`
  /// where there were any.
  std::string line() const;
  /// The same with a bar, at most `columns` wide (the text is cut when there is no room).
  std::string bar(size_t columns) const;

 private:
  struct Sample {
    double elapsed_s;
    uint64_t done_bytes;
  };
  std::string title_;
  std::deque<Sample> samples_;
  ProgressState state_;
};

class Progress {
 public:
  /// Starts the thread. `counters` must outlive this. At most one at a time for an Output.
  /// `network` likewise; null: there is none.
  Progress(Output& output, ProgressMode mode, std::string title, const ProgressCounters& counters,
           const remote::RemoteCounters* network = nullptr);
  /// Stops the thread and removes the bar.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

 private:
  void run();
  void tick(double elapsed_s);

  Output& output_;
  const ProgressMode mode_;
  const ProgressCounters& counters_;
  const remote::RemoteCounters* const network_;
  ProgressView view_;
  double next_s_;  ///< when the next line or bar is due, in seconds since the start
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
  std::condition_variable stop_changed_;
  bool stop_ = false;
  std::thread thread_;  ///< last: it uses all of the above
};

}  // namespace cairn
