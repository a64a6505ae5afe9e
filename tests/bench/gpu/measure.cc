#include "tests/bench/gpu/measure.h"

#include <algorithm>
#include <functional>

#include "gpu/timer.h"

namespace cairn::gpu {

Spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
  return {median, values.front(), values.back()};
}

/// GB/s.
static Result<double> rate_of(Timer& timer, uint64_t bytes, const std::function<Status()>& work) {
  CAIRN_CHECK(timer.begin({}));
  CAIRN_CHECK(work());
  CAIRN_CHECK(timer.end({}));
  CAIRN_TRY(const double seconds, timer.seconds());
  return static_cast<double>(bytes) / 1e9 / std::max(seconds, 1e-9);
}

static Status run_and_check(Operation& operation, size_t turn) {
  CAIRN_CHECK(operation.enqueue({}, turn));
  CAIRN_CHECK(synchronize({}));
  return operation.check(turn);
}

Result<Figures> measure(Operation& operation, const BenchData& data, unsigned rounds) {
  for (size_t turn = 0; turn < data.buffers.size(); ++turn) {
    CAIRN_CHECK(run_and_check(operation, turn));
  }
  CAIRN_TRY(const DeviceMemory copy, DeviceMemory::allocate(data.buffer_bytes));
  CAIRN_TRY(Timer timer, Timer::make());
  std::vector<double> rates, copy_rates, ratios;
  for (unsigned round = 0; round <= rounds; ++round) {
    CAIRN_TRY(const double copied, rate_of(timer, 2 * data.buffer_bytes, [&] {
                return copy_within({}, copy.data(), data.of_turn(round + 1).data(),
                                   data.buffer_bytes);
              }));
    CAIRN_TRY(const double rate, rate_of(timer, operation.counted_bytes(),
                                         [&] { return operation.enqueue({}, round); }));
    if (round == 0) continue;  // the first copy, into memory that nobody touched
    rates.push_back(rate);
    copy_rates.push_back(copied);
    ratios.push_back(rate / copied);
  }
  CAIRN_CHECK(operation.check(rounds));
  return Figures{spread_of(rates), spread_of(copy_rates), spread_of(ratios)};
}

}  // namespace cairn::gpu
