#include "cli/progress.h"

#include <fmt/format.h>
#include <algorithm>
#include <new>
#include <nlohmann/json.hpp>

#include "cli/human.h"
#include "cli/signals.h"

namespace cairn {
namespace {

constexpr std::chrono::milliseconds kTick{100};  ///< how soon SIGUSR1 is answered
constexpr double kRateWindow_s = 10;
constexpr double kLineEvery_s = 10;
constexpr double kJsonEvery_s = 1;
constexpr double kBarAfter_s = 0.5;  ///< quick commands show none
constexpr size_t kBarCells = 20;
constexpr size_t kBarCellsMin = 5;  ///< a narrow terminal gets the words alone

bool draws_bar(const Output& output, ProgressMode mode) {
  return mode == ProgressMode::kAuto && output.stderr_is_terminal() && !output.json();
}

nlohmann::ordered_json as_json(const ProgressState& state) {
  nlohmann::ordered_json fields = {{"total_bytes", state.total_bytes},
                                   {"done_bytes", state.done_bytes},
                                   {"new_bytes", state.new_bytes},
                                   {"elapsed_s", state.elapsed_s},
                                   {"bytes_per_s", state.bytes_per_s},
                                   {"retries", state.retries},
                                   {"eta_s", nullptr}};
  if (state.eta_s) fields["eta_s"] = *state.eta_s;
  return fields;
}

}  // namespace

std::string retries_text(uint64_t retries) {
  if (retries == 0) return "";
  return retries == 1 ? ", 1 retry" : fmt::format(", {} retries", retries);
}

void ProgressView::look(const ProgressCounters& counters, double elapsed_s, uint64_t retries) {
  state_.retries = retries;
  state_.total_bytes = counters.total_bytes.load();
  state_.done_bytes = counters.done_bytes.load();
  state_.new_bytes = counters.new_bytes.load();
  state_.elapsed_s = elapsed_s;
  samples_.push_back({elapsed_s, state_.done_bytes});
  // One sample older than the window stays, so that the window is always filled.
  while (samples_.size() > 2 && samples_[1].elapsed_s <= elapsed_s - kRateWindow_s)
    samples_.pop_front();
  const bool window_begins_at_start = samples_.front().elapsed_s > elapsed_s - kRateWindow_s;
  const Sample first = window_begins_at_start ? Sample{0, 0} : samples_.front();
  const double span_s = elapsed_s - first.elapsed_s;
  const uint64_t moved = state_.done_bytes - std::min(first.done_bytes, state_.done_bytes);
  state_.bytes_per_s = span_s > 0 ? static_cast<double>(moved) / span_s : 0;
  state_.eta_s.reset();
  if (state_.total_bytes >= state_.done_bytes && state_.total_bytes > 0 && state_.bytes_per_s > 0)
    state_.eta_s = static_cast<double>(state_.total_bytes - state_.done_bytes) / state_.bytes_per_s;
}

std::string ProgressView::line() const {
  // A wait, or what reads metadata only.
  constexpr double kWorthTelling_s = 5;
  const bool is_silent = state_.total_bytes == 0 && state_.done_bytes == 0;
  if (is_silent && state_.elapsed_s >= kWorthTelling_s) {
    return fmt::format("{}: at work for {}{}", title_, human_duration(state_.elapsed_s),
                       retries_text(state_.retries));
  }
  std::string text = fmt::format("{}: {}", title_, human_bytes(state_.done_bytes));
  if (state_.total_bytes > 0)
    text += fmt::format(" of {} ({})", human_bytes(state_.total_bytes),
                        human_percent(state_.done_bytes, state_.total_bytes));
  text += fmt::format(", new {}, {}/s", human_bytes(state_.new_bytes),
                      human_bytes(static_cast<uint64_t>(state_.bytes_per_s)));
  if (state_.eta_s) text += fmt::format(", {} left", human_duration(*state_.eta_s));
  return text + retries_text(state_.retries);
}

std::string ProgressView::bar(size_t columns) const {
  // A line that wraps could not be removed again.
  const size_t room = columns > 0 ? columns - 1 : 0;
  const std::string words = line();
  constexpr size_t kFrame = 3;  // the brackets and a space
  const size_t cells =
      words.size() + kFrame < room ? std::min(kBarCells, room - words.size() - kFrame) : 0;
  std::string text;
  if (state_.total_bytes > 0 && cells >= kBarCellsMin) {
    const double share =
        static_cast<double>(state_.done_bytes) / static_cast<double>(state_.total_bytes);
    const auto full = static_cast<size_t>(std::min(share, 1.0) * static_cast<double>(cells));
    text = '[' + std::string(full, '#') + std::string(cells - full, '.') + "] ";
  }
  return (text + words).substr(0, room);
}

Progress::Progress(Output& output, ProgressMode mode, std::string title,
                   const ProgressCounters& counters, const remote::RemoteCounters* network)
    : output_(output),
      mode_(mode),
      counters_(counters),
      network_(network),
      view_(std::move(title)),
      next_s_(output.json_lines()       ? 0
              : draws_bar(output, mode) ? kBarAfter_s
                                        : kLineEvery_s),
      thread_([this] { run(); }) {}

Progress::~Progress() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stop_changed_.notify_all();
  thread_.join();
  output_.show_bar("");
}

void Progress::run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - started_;
    try {
      tick(elapsed.count());
    } catch (const std::bad_alloc&) {
      // Nothing is shown this time.
    }
    stop_changed_.wait_for(lock, kTick, [this] { return stop_; });
  }
}

void Progress::tick(double elapsed_s) {
  view_.look(counters_, elapsed_s, network_ == nullptr ? 0 : network_->retries.load());
  if (take_status_request()) output_.status_line(view_.line());
  if (mode_ == ProgressMode::kNone || elapsed_s < next_s_) return;
  if (output_.json_lines()) {
    output_.progress(as_json(view_.state()));
    next_s_ = elapsed_s + kJsonEvery_s;
  } else if (output_.quiet()) {
    next_s_ = elapsed_s + kLineEvery_s;
  } else if (draws_bar(output_, mode_)) {
    output_.show_bar(view_.bar(output_.stderr_columns()));
  } else {
    output_.status_line(view_.line());
    next_s_ = elapsed_s + kLineEvery_s;
  }
}

}  // namespace cairn
