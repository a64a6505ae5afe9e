// (1) Every tag's metadata is read and decoded, which checks its digests; its parts must fit each
// other; its copies are gathered.
// (2) Every metadata pack and data pack in use is looked at: there, long enough, its table whole
// and of one mind with the locators. (3) The data is read in the order in which it lies. (4) For
// copies found damaged the tags are walked once more to name the tensors that need them.
#include "lib/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <tuple>

#include "base/clock.h"
#include "base/pipeline.h"
#include "base/random.h"
#include "lib/tag_rules.h"
#include "store/checkpoint.h"
#include "store/pack_reader.h"
#include "store/pack_table.h"
#include "store/read_jobs.h"

namespace cairn {
namespace {

struct NeededCopy {
  Copy copy;
  Digest digest;
};

/// Copies without stored bytes (zeros) lie where the next copy does: lengths tell them apart.
using CopyPlace = std::tuple<FileId, uint64_t, uint32_t, uint32_t, Encoding>;

CopyPlace place_of(const Copy& copy) {
  return {copy.pack, copy.offset, copy.stored_bytes, copy.decoded_bytes, copy.encoding};
}

struct CopyDamage {
  std::string kind, message;
};

bool lies_before(const NeededCopy& a, const NeededCopy& b) {
  return std::tuple(place_of(a.copy), a.digest) < std::tuple(place_of(b.copy), b.digest);
}

/// Unreadable is as bad as damaged, and says why.
bool is_damage(const Error& error) {
  return error.code == Code::kCorrupt || error.code == Code::kNotFound ||
         error.code == Code::kFailed;
}

class Checker {
 public:
  Checker(const Store& store, const CheckRequest& request)
      : store_(store), request_(request), packs_(store) {}

  Result<CheckReport> run() {
    for (const TagEntry& tag : request_.tags) {
      CAIRN_CHECK(not_stopped());
      CAIRN_CHECK(gather(tag));
    }
    sort_copies();
    CAIRN_CHECK(check_meta_packs());
    CAIRN_CHECK(check_packs());
    if (request_.read_percent) CAIRN_CHECK(read_data());
    for (const TagEntry& tag : request_.tags) {
      if (!damaged_.empty()) CAIRN_CHECK(name_users(tag));
    }
    report_.tags = request_.tags.size();
    report_.bytes_read = packs_.read_bytes();
    return std::move(report_);
  }

 private:
  Status not_stopped() const {
    if (request_.stop == nullptr || !*request_.stop) return {};
    return fail(Code::kCancelled, "the check was stopped");
  }

  /// Records damage of a tag's metadata; passes on what is none.
  Status note(const TagEntry& tag, const Error& error) {
    if (!is_damage(error)) return tl::unexpected(error);
    report_.damage.push_back({"metadata", tag.name, "", "", std::nullopt, error.message});
    return {};
  }

  Status gather(const TagEntry& tag) {
    auto checkpoint = open_tag_as_it_is(tag);
    if (!checkpoint) return note(tag, checkpoint.error());
    for (const Reference* reference : {&tag.manifest, &tag.schema, &tag.table}) {
      metas_.insert(reference->file);
    }
    if (tag.layout) metas_.insert(tag.layout->file);
    const auto layout = (*checkpoint)->layout();
    if (!layout) CAIRN_CHECK(note(tag, layout.error()));
    CAIRN_CHECK(check_tag_rules(**checkpoint, seen_, [&](std::string item, std::string what) {
      report_.damage.push_back({"metadata", tag.name, item, "", std::nullopt, what});
    }));
    const LocatorTable& table = (*checkpoint)->table();
    for (size_t page = 0; page < table.pages.size() + table.closure.size(); ++page) {
      const PagePlace& place =
          page < table.pages.size() ? table.pages[page] : table.closure[page - table.pages.size()];
      const auto loaded = (*checkpoint)->page(page);
      if (!loaded) {
        CAIRN_CHECK(note(tag, loaded.error()));
        continue;
      }
      metas_.insert(place.page.file);
      metas_.insert(place.locator.file);
      const bool fresh = pages_.insert({place.page.digest, place.locator.digest}).second;
      if (fresh) gather_page(**loaded);
    }
    return {};
  }

  Result<std::unique_ptr<Checkpoint>> open_tag_as_it_is(const TagEntry& tag) const {
    auto opened = Checkpoint::open(store_, tag);
    // gc may have moved the tag's metadata since the list of tags was read.
    if (!opened && opened.error().code == Code::kNotFound) return open_tag(store_, tag.name);
    return opened;
  }

  void gather_page(const LoadedPage& page) {
    for (size_t i = 0; i < page.page.entries.size(); ++i) {
      const Copy* copies = page.locator.copies.data() + page.first_slots[i];
      if (const auto* digest = std::get_if<Digest>(&page.page.entries[i])) {
        copies_.push_back({copies[0], *digest});
      } else if (const auto* pieces = std::get_if<std::vector<Piece>>(&page.page.entries[i])) {
        for (size_t p = 0; p < pieces->size(); ++p) {
          copies_.push_back({copies[p], (*pieces)[p].digest});
        }
      } else {
        ++report_.chunks;
      }
    }
  }

  void sort_copies() {
    std::sort(copies_.begin(), copies_.end(), lies_before);
    const auto last =
        std::unique(copies_.begin(), copies_.end(), [](const NeededCopy& a, const NeededCopy& b) {
          return !lies_before(a, b) && !lies_before(b, a);
        });
    copies_.erase(last, copies_.end());
    report_.chunks += copies_.size();
  }

  Status check_meta_packs() {
    for (const FileId& file : metas_) {
      CAIRN_CHECK(not_stopped());
      const auto objects = list_objects(store_.fs(), store_.path(), file);
      if (objects) continue;
      if (!is_damage(objects.error())) return tl::unexpected(objects.error());
      report_.damage.push_back({"pack-table", "", "", relative_path(FileKind::kMeta, file),
                                std::nullopt, objects.error().message});
    }
    return {};
  }

  Status check_packs() {
    for (auto first = copies_.begin(); first != copies_.end();) {
      CAIRN_CHECK(not_stopped());
      const FileId pack = first->copy.pack;
      const auto last = std::find_if(
          first, copies_.end(), [&](const NeededCopy& needed) { return needed.copy.pack != pack; });
      CAIRN_CHECK(check_pack({first, last}));
      ++report_.packs;
      first = last;
    }
    return {};
  }

  Status check_pack(std::span<const NeededCopy> needed) {
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

  void compare(std::span<const NeededCopy> needed, std::span<const PackedCopy> rows) {
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
  void damage(const Copy& copy, std::string kind, std::string message) {
    const std::lock_guard lock(mutex_);
    damaged_.try_emplace(place_of(copy), CopyDamage{std::move(kind), std::move(message)});
  }

  std::vector<NeededCopy> choose_copies() const {
    std::vector<NeededCopy> chosen;
    // Another part of the data each time the check runs.
    std::mt19937_64 random = seeded_random();
    std::uniform_real_distribution<double> percent(0, 100);
    for (const NeededCopy& needed : copies_) {
      const bool readable = !damaged_.contains(place_of(needed.copy));
      if (readable && percent(random) < *request_.read_percent) chosen.push_back(needed);
    }
    return chosen;
  }

  Status read_data() {
    const std::vector<NeededCopy> chosen = choose_copies();
    std::vector<PackRange> ranges;
    uint64_t bytes = 0;
    for (const NeededCopy& needed : chosen) {
      const Copy& copy = needed.copy;
      ranges.push_back({copy.pack, copy.offset, copy.offset + copy.stored_bytes});
      bytes += copy.stored_bytes;
    }
    std::vector<ReadJob> jobs = join_ranges(ranges);
    // With a time limit, repeated checks should come to see everything in the end.
    if (request_.time_limit) std::shuffle(jobs.begin(), jobs.end(), seeded_random());
    if (request_.progress != nullptr) request_.progress->total_bytes = bytes;
    const Stopwatch watch;
    return parallel_for(jobs.size(), reading_threads(request_.threads), [&](uint64_t i) -> Status {
      CAIRN_CHECK(not_stopped());
      if (request_.time_limit && watch.seconds() > double(request_.time_limit->count())) {
        const std::lock_guard lock(mutex_);
        report_.out_of_time = true;
        return {};
      }
      return read_job(std::span(chosen).subspan(jobs[i].first, jobs[i].count), jobs[i].bytes);
    });
  }

  Status read_job(std::span<const NeededCopy> needed, const PackRange& range) {
    thread_local AlignedBuffer room, decoded_room;
    const auto read = packs_.read(range, room);
    if (!read && needed.size() > 1) {
      // One of them cannot be read: find out which.
      for (const NeededCopy& each : needed) {
        const Copy& copy = each.copy;
        CAIRN_CHECK(
            read_job({&each, 1}, {copy.pack, copy.offset, copy.offset + copy.stored_bytes}));
      }
      return {};
    }
    for (const NeededCopy& each : needed) {
      if (!read) {
        damage(each.copy, "data", read.error().message);
        continue;
      }
      const ByteSpan stored = read->subspan(each.copy.offset - range.begin, each.copy.stored_bytes);
      const auto decoded = decode_checked(each.copy, each.digest, stored, decoded_room);
      // What a newer version wrote is not damaged: someone might throw it away.
      if (!decoded && decoded.error().code == Code::kNewerFormat) {
        return tl::unexpected(decoded.error());
      }
      if (!decoded) damage(each.copy, "data", decoded.error().message);
      if (request_.progress != nullptr) request_.progress->done_bytes += each.copy.stored_bytes;
    }
    return {};
  }

  /// Adds a row for each tensor and attachment of the tag that needs a damaged copy.
  Status name_users(const TagEntry& tag) {
    const auto opened = open_tag_as_it_is(tag);
    if (!opened) return {};  // named already
    Checkpoint& checkpoint = **opened;
    const size_t tensors = checkpoint.schema().tensors.size();
    for (size_t item = 0; item < tensors + checkpoint.manifest().attachments.size(); ++item) {
      const std::string& name = item < tensors
                                    ? checkpoint.schema().tensors[item].name
                                    : checkpoint.manifest().attachments[item - tensors].name;
      const Status visited =
          visit_chunks(checkpoint, item, [&](uint64_t chunk, const ChunkEntry&, auto copies) {
            for (const Copy& copy : copies) name_user(tag.name, name, chunk, copy);
            return Status();
          });
      if (!visited && !is_damage(visited.error())) return visited;
    }
    return {};
  }

  void name_user(const std::string& tag, const std::string& tensor, uint64_t chunk,
                 const Copy& copy) {
    const auto found = damaged_.find(place_of(copy));
    if (found == damaged_.end()) return;
    const auto& [kind, message] = found->second;
    if (!rows_.insert({kind, tag, tensor, copy.pack}).second) return;
    report_.damage.push_back({kind, tag, tensor, relative_path(FileKind::kPack, copy.pack),
                              copy.offset, fmt::format("chunk {}: {}", chunk, message)});
  }

  const Store& store_;
  const CheckRequest& request_;
  PackReader packs_;
  CheckReport report_;
  SeenByRules seen_;
  std::set<FileId> metas_;
  std::set<std::pair<Digest, Digest>> pages_;  // with their locators, gathered already
  std::vector<NeededCopy> copies_;
  std::mutex mutex_;  // guards damaged_ and report_.out_of_time while data is read
  std::map<CopyPlace, CopyDamage> damaged_;
  std::set<std::tuple<std::string, std::string, std::string, FileId>> rows_;
};

}  // namespace

Result<CheckReport> check(const Store& store, const CheckRequest& request) {
  return Checker(store, request).run();
}

}  // namespace cairn
