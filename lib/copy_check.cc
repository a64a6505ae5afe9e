#include "lib/copy_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "base/clock.h"
#include "base/pipeline.h"
#include "base/random.h"
#include "base/stop.h"
#include "store/pack_table.h"
#include "store/read_jobs.h"

namespace cairn {

bool is_loss(const Error& error) {
  return error.code == Code::kCorrupt || error.code == Code::kNotFound;
}

bool is_damage(const Error& error) {
  // Busy: the tag became another checkpoint while it was read, and is looked at again.
  return is_loss(error) || error.code == Code::kBusy;
}

Status not_stopped(const CheckRequest& request) {
  return unless_stopped(request.stop, "the check");
}

ToldCopy as_told(const Copy& copy) { return {copy.pack, place_of(copy), copy.encoding}; }

bool CopyCheck::lies_before(const NeededCopy& a, const NeededCopy& b) {
  return std::tuple(as_told(a.copy), a.digest) < std::tuple(as_told(b.copy), b.digest);
}

const CopyDamage* CopyCheck::find(const Copy& copy) const {
  const auto found = damaged_.find(as_told(copy));
  return found == damaged_.end() ? nullptr : &found->second;
}

void CopyCheck::know(const CopyCheck& earlier) {
  for (const auto& [copy, found] : earlier.damaged_) {
    const std::string path = relative_path(FileKind::kPack, std::get<FileId>(copy));
    if (file_exists(store_.fs(), join_path(store_.path(), path))) damaged_.emplace(copy, found);
  }
}

void CopyCheck::sort_copies() {
  std::sort(copies_.begin(), copies_.end(), lies_before);
  const auto last =
      std::unique(copies_.begin(), copies_.end(), [](const NeededCopy& a, const NeededCopy& b) {
        return !lies_before(a, b) && !lies_before(b, a);
      });
  copies_.erase(last, copies_.end());
  report_.chunks += copies_.size();
}

Status CopyCheck::check_packs() {
  sort_copies();
  for (auto first = copies_.begin(); first != copies_.end();) {
    CAIRN_CHECK(not_stopped(request_));
    const FileId pack = first->copy.pack;
    const auto last = std::find_if(
        first, copies_.end(), [&](const NeededCopy& needed) { return needed.copy.pack != pack; });
    CAIRN_CHECK(check_pack({first, last}));
    ++report_.packs;
    first = last;
  }
  return {};
}

Status CopyCheck::check_pack(std::span<const NeededCopy> needed) {
  const FileId& pack = needed.front().copy.pack;
  const std::string path = relative_path(FileKind::kPack, pack);
  const auto info = store_.fs().info(join_path(store_.path(), path));
  if (!info && info.error().code != Code::kNotFound) return tl::unexpected(info.error());
  for (const NeededCopy& each : needed) {
    const uint64_t end = each.copy.offset + each.copy.stored_bytes;
    if (!info) {
      damage(each.copy, "missing-pack", fmt::format("the pack '{}' is missing", path));
    } else if (end > info->bytes) {
      damage(each.copy, "short-pack",
             fmt::format("the pack '{}' is cut short: it has {} bytes "
                         "and a chunk ends at {}",
                         path, info->bytes, end));
    }
  }
  if (!info) return {};
  const auto rows = list_copies(store_.fs(), store_.path(), pack);
  if (rows) {
    compare(needed, *rows);
  } else if (is_damage(rows.error())) {
    report_.damage.push_back({"pack-table", "", "", path, std::nullopt, rows.error().message});
  } else {
    return tl::unexpected(rows.error());
  }
  return {};
}

void CopyCheck::compare(std::span<const NeededCopy> needed, std::span<const PackedCopy> rows) {
  const auto by_offset = [](const PackedCopy& a, const PackedCopy& b) {
    return a.offset < b.offset;
  };
  for (const NeededCopy& each : needed) {
    PackedCopy wanted;
    wanted.offset = each.copy.offset;
    const auto there = std::equal_range(rows.begin(), rows.end(), wanted, by_offset);
    const bool agrees = std::any_of(there.first, there.second, [&](const PackedCopy& row) {
      return row.digest == each.digest && row.stored_bytes == each.copy.stored_bytes &&
             row.decoded_bytes == each.copy.decoded_bytes && row.encoding == each.copy.encoding;
    });
    if (!agrees) damage(each.copy, "locator", "the pack's table does not name this chunk there");
  }
}

/// Threads: any. The first finding about a copy stands.
void CopyCheck::damage(const Copy& copy, std::string kind, std::string message) {
  const std::lock_guard lock(mutex_);
  damaged_.try_emplace(as_told(copy), CopyDamage{std::move(kind), std::move(message)});
}

std::vector<CopyCheck::NeededCopy> CopyCheck::choose_copies() const {
  std::vector<NeededCopy> chosen;
  // Another part of the data each time the check runs.
  std::mt19937_64 random = seeded_random();
  std::uniform_real_distribution<double> percent(0, 100);
  for (const NeededCopy& needed : copies_) {
    const bool is_due = !request_.from_pack || needed.copy.pack >= *request_.from_pack;
    const bool readable = is_due && !damaged_.contains(as_told(needed.copy));
    if (readable && percent(random) < *request_.read_percent) chosen.push_back(needed);
  }
  return chosen;
}

Status CopyCheck::read_data() {
  const std::vector<NeededCopy> chosen = choose_copies();
  std::vector<PackRange> ranges;
  uint64_t bytes = 0;
  for (const NeededCopy& needed : chosen) {
    const Copy& copy = needed.copy;
    ranges.push_back({copy.pack, copy.offset, copy.offset + copy.stored_bytes});
    bytes += copy.stored_bytes;
  }
  std::vector<ReadJob> jobs = join_ranges(ranges, packs_.habits());
  // With a time limit, repeated checks should come to see everything in the end.
  if (request_.time_limit && !request_.from_pack)
    std::shuffle(jobs.begin(), jobs.end(), seeded_random());
  if (request_.progress != nullptr) request_.progress->total_bytes = bytes;
  const Stopwatch watch;
  const auto read = [&](uint64_t i) -> Status {
    CAIRN_CHECK(not_stopped(request_));
    if (request_.time_limit && watch.seconds() > double(request_.time_limit->count())) {
      const std::lock_guard lock(mutex_);
      report_.out_of_time = true;
      // All jobs before the first that is left out have begun, and end.
      const FileId& pack = jobs[i].bytes.pack;
      if (request_.from_pack && (!report_.next_pack || pack < *report_.next_pack)) {
        report_.next_pack = pack;
      }
      return {};
    }
    return read_job(std::span(chosen).subspan(jobs[i].first, jobs[i].count), jobs[i].bytes);
  };
  CAIRN_CHECK(parallel_for(jobs.size(), reading_threads(request_.threads, packs_.habits()), read));
  report_.bytes_read = packs_.read_bytes();
  return {};
}

Status CopyCheck::read_job(std::span<const NeededCopy> needed, const PackRange& range) {
  thread_local AlignedBuffer room, decoded_room;
  const auto read = packs_.read(range, room);
  if (!read && needed.size() > 1) {
    // One of them cannot be read: find out which.
    for (const NeededCopy& each : needed) {
      const Copy& copy = each.copy;
      CAIRN_CHECK(read_job({&each, 1}, {copy.pack, copy.offset, copy.offset + copy.stored_bytes}));
    }
    return {};
  }
  if (!read && !is_damage(read.error())) return tl::unexpected(read.error());
  for (const NeededCopy& each : needed) {
    if (!read) {
      damage(each.copy, "data", read.error().message);
      continue;
    }
    const ByteSpan stored = read->subspan(each.copy.offset - range.begin, each.copy.stored_bytes);
    const Status sound =
        packs_.check_alone(each.copy, !each.copy.bases.empty(), each.digest, stored, decoded_room);
    // What a newer version wrote is not damaged: someone might throw it away.
    if (!sound && !is_damage(sound.error())) return sound;
    if (!sound) damage(each.copy, "data", sound.error().message);
    if (request_.progress != nullptr) request_.progress->done_bytes += each.copy.stored_bytes;
  }
  return {};
}

}  // namespace cairn
