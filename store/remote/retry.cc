#include "store/remote/retry.h"

#include <algorithm>

#include "base/clock.h"
#include "base/random.h"
#include "base/stop.h"
#include "store/remote/ascii.h"
#include "store/remote/http_date.h"

namespace cairn::remote {

using namespace std::chrono_literals;

static constexpr Milliseconds kLook = 50ms;  // how often stop flags are looked at

namespace {

class MachineClock final : public RetryClock {
 public:
  Milliseconds now() override {
    const auto since_start = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<Milliseconds>(since_start);
  }

  int64_t wall_ns() override { return now_ns(); }

  bool wait(Milliseconds time, const std::atomic<bool>* stop) override {
    const Milliseconds end = now() + time;
    std::unique_lock lock(mutex_);
    for (Milliseconds left = time; left > 0ms; left = end - now()) {
      if (is_stopped(stop)) return false;
      never_.wait_for(lock, stop == nullptr ? left : std::min(left, kLook));
    }
    return !is_stopped(stop);
  }

  double random() override {
    const std::lock_guard lock(random_mutex_);
    return std::uniform_real_distribution<double>(0, 1)(generator_);
  }

 private:
  std::mutex mutex_, random_mutex_;
  std::condition_variable never_;
  std::mt19937_64 generator_ = seeded_random();
};

}  // namespace

RetryClock& machine_clock() {
  static auto& clock = *new MachineClock;  // threads may still wait when statics are gone
  return clock;
}

std::optional<Milliseconds> parse_retry_after(std::string_view value, int64_t wall_ns) {
  constexpr uint64_t kLongest = UINT32_MAX;
  const auto seconds = parse_number(value);
  if (seconds) return std::chrono::seconds(std::min(*seconds, kLongest));
  const auto date = parse_http_date(value);
  if (!date) return std::nullopt;
  return std::max(
      0ms, std::chrono::duration_cast<Milliseconds>(std::chrono::nanoseconds(*date - wall_ns)));
}

static Worth worth_of_status(int status) {
  switch (status) {
    case 429:
    case 503:
      return Worth::kSlowDown;
    case 408:
    case 500:
    case 502:
    case 504:
      return Worth::kTry;
    default:
      return Worth::kNothing;
  }
}

static Worth worth_of_trouble(HttpTrouble trouble) {
  switch (trouble) {
    case HttpTrouble::kResolve:
    case HttpTrouble::kConnect:
    case HttpTrouble::kTimeout:
    case HttpTrouble::kLost:
    case HttpTrouble::kShort:
    case HttpTrouble::kMalformed:
      return Worth::kTry;
    case HttpTrouble::kTls:
    case HttpTrouble::kRefused:
    case HttpTrouble::kTooLong:
    case HttpTrouble::kStopped:
    case HttpTrouble::kLocal:
      return Worth::kNothing;
  }
  return Worth::kNothing;
}

Verdict judge(const HttpResult& result, int64_t wall_ns) {
  if (!result) return {worth_of_trouble(result.error().trouble), std::nullopt};
  Verdict verdict{worth_of_status(result->status), std::nullopt};
  if (const auto after = result->header("retry-after"); after && verdict.worth != Worth::kNothing) {
    verdict.after = parse_retry_after(*after, wall_ns);
  }
  return verdict;
}

void RetryLoop::progressed() {
  since_ = clock_.now();
  row_ = 0;
}

std::optional<Milliseconds> RetryLoop::next_pause(const Verdict& verdict, int tries_most) {
  ++tries_;
  if (verdict.worth == Worth::kNothing) return std::nullopt;
  if (tries_most != 0 && tries_ >= tries_most) return std::nullopt;
  if (options_.give_up_after == 0ms) return std::nullopt;
  Milliseconds left = options_.give_up_after - (clock_.now() - since_);
  if (left <= 0ms && tries_ > 1) return std::nullopt;
  left =
      std::max(left, options_.first_pause);  // one try that took all the time is not all there is
  if (verdict.after) return *verdict.after <= left ? verdict.after : std::nullopt;
  // Full jitter: who was refused together does not come back together.
  const int doubled = std::min(row_++, 20);
  const Milliseconds most = std::min(options_.longest_pause, options_.first_pause * (1 << doubled));
  const auto pause =
      Milliseconds(static_cast<int64_t>(clock_.random() * static_cast<double>(most.count() + 1)));
  return std::min(pause, left);
}

bool Throttle::enter(const std::atomic<bool>* stop) {
  std::unique_lock lock(mutex_);
  while (inside_ >= limit_ && !is_stopped(stop)) {
    if (stop == nullptr) freed_.wait(lock);
    if (stop != nullptr) freed_.wait_for(lock, kLook);
  }
  if (is_stopped(stop)) return false;
  ++inside_;
  return true;
}

void Throttle::leave(Worth worth, bool success) {
  const std::lock_guard lock(mutex_);
  --inside_;
  const bool is_old = cut_grace_ > 0;
  if (is_old) --cut_grace_;
  if (worth == Worth::kSlowDown && !is_old) {
    limit_ = std::max<size_t>(1, limit_ / 2);
    cut_grace_ = inside_;
    successes_ = 0;
  } else if (success && limit_ < most_ && ++successes_ >= limit_) {
    ++limit_;
    successes_ = 0;
  }
  freed_.notify_all();
}

size_t Throttle::limit() const {
  const std::lock_guard lock(mutex_);
  return limit_;
}

}  // namespace cairn::remote
