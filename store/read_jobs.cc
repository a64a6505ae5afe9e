#include "store/read_jobs.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/pipeline.h"

namespace cairn {

static constexpr size_t kEmptyRangesMax = 256;

std::vector<ReadJob> join_ranges(const std::vector<PackRange>& ranges, const ReadHabits& habits,
                                 uint64_t enough_bytes) {
  std::vector<ReadJob> jobs;
  for (size_t i = 0; i < ranges.size(); ++i) {
    const PackRange& range = ranges[i];
    if (!jobs.empty() && jobs.back().bytes.pack == range.pack) {
      ReadJob& last = jobs.back();
      const uint64_t end = std::max(last.bytes.end, range.end);
      const bool is_full = (end == last.bytes.begin && last.count == kEmptyRangesMax) ||
                           last.bytes.end - last.bytes.begin >= enough_bytes;
      if (!is_full && range.begin <= last.bytes.end + habits.gap_bytes_max &&
          end - last.bytes.begin <= habits.bytes_max) {
        ++last.count;
        last.bytes.end = end;
        continue;
      }
    }
    jobs.push_back({i, 1, range});
  }
  return jobs;
}

unsigned reading_threads(unsigned wanted, const ReadHabits& habits) {
  return wanted != 0 ? wanted : default_threads() + habits.waiting;
}

unsigned asking_threads(const ReadHabits& habits) { return habits.is_remote ? habits.waiting : 1; }

}  // namespace cairn
