#include "store/remote/read_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <set>
#include <vector>

#include "base/digest.h"
#include "base/stop.h"
#include "base/stop_scope.h"

namespace cairn::remote {
namespace {

constexpr std::string_view kTagName = "CACHEDIR.TAG";
constexpr std::string_view kTag =
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# Parts of checkpoints that lie elsewhere, kept by Cairn. All of it may be deleted.\n";
constexpr std::string_view kSuffix = ".blocks";
constexpr size_t kOpenFilesMax = 64;
constexpr std::chrono::milliseconds kLook{50};  // how often who waits looks at its stop flag
constexpr uint64_t kShares = 64;                // of the bound: written before room is made again

uint64_t place_of_slot(uint64_t number) { return number * ReadCache::kSlotBytes; }

/// The bytes that a slot holds; nullopt: it is not what its head says, or empty.
std::optional<ByteSpan> bytes_in(ByteSpan slot) {
  constexpr uint64_t kHead = ReadCache::kSlotHeadBytes;
  if (slot.size() < kHead) return std::nullopt;
  const auto length = load_le<uint32_t>(slot, sizeof(Digest));
  if (length == 0 || length > slot.size() - kHead) return std::nullopt;
  const ByteSpan bytes = slot.subspan(kHead, length);
  const ByteSpan told = slot.first(sizeof(Digest));
  if (!std::ranges::equal(blake3(bytes).bytes, told)) return std::nullopt;
  return bytes;
}

/// What cannot be kept will be missing.
void put_slot(File& file, uint64_t number, ByteSpan bytes) {
  Bytes slot;
  slot.reserve(ReadCache::kSlotHeadBytes + bytes.size());
  append_bytes(slot, blake3(bytes).bytes);
  append_le(slot, static_cast<uint32_t>(bytes.size()));
  slot.resize(ReadCache::kSlotHeadBytes);
  append_bytes(slot, bytes);
  (void)file.write_at(place_of_slot(number), slot).has_value();
}

void put_size(File& file, uint64_t bytes) {
  Bytes told;
  append_le(told, bytes);
  put_slot(file, 0, told);
}

std::optional<uint64_t> size_in(File& file) {
  Bytes slot(ReadCache::kSlotHeadBytes + sizeof(uint64_t));
  const auto there = file.read_at(place_of_slot(0), slot);
  if (!there || *there < slot.size()) return std::nullopt;
  const auto bytes = bytes_in(slot);
  if (!bytes || bytes->size() != sizeof(uint64_t)) return std::nullopt;
  return load_le<uint64_t>(*bytes);
}

}  // namespace

Result<std::shared_ptr<ReadCache>> ReadCache::open(Fs& fs, const std::string& folder,
                                                   uint64_t bytes_max) {
  CAIRN_CHECK(fs.make_folders(folder));
  CAIRN_TRY(const auto entries, fs.list(folder));
  const bool is_ours = std::any_of(entries.begin(), entries.end(),
                                   [](const FolderEntry& each) { return each.name == kTagName; });
  if (!is_ours && !entries.empty()) {
    return fail(Code::kUsage, fmt::format("'{}' holds other things than a cache", folder),
                "name a folder that is empty, or does not exist yet");
  }
  if (!is_ours) {
    auto tag = fs.open(join_path(folder, std::string(kTagName)), OpenMode::kCreate);
    if (tag) CAIRN_CHECK((*tag)->write_at(0, as_bytes(kTag)));
    if (!tag && tag.error().code != Code::kExists) return tl::unexpected(tag.error());
  }
  std::shared_ptr<ReadCache> cache(new ReadCache(fs, folder, bytes_max));
  CAIRN_CHECK(cache->make_room());
  return cache;
}

/// A file of the cache, and what of it is being fetched.
struct ReadCache::Kept {
  std::shared_ptr<File> file;
  std::mutex mutex;  // of the set
  std::condition_variable less_under_way;
  std::set<uint64_t> under_way;  // blocks

  bool are_free(uint64_t first, uint64_t count) const {
    const auto next = under_way.lower_bound(first);
    return next == under_way.end() || *next >= first + count;
  }
};

/// Lets others fetch these blocks.
struct ReadCache::FreeAgain {
  Kept& kept;
  const uint64_t first;
  uint64_t count = 0;

  ~FreeAgain() {
    if (count == 0) return;
    {
      const std::lock_guard lock(kept.mutex);
      for (uint64_t i = 0; i < count; ++i) kept.under_way.erase(first + i);
    }
    kept.less_under_way.notify_all();
  }
};

/// The blocks that one read goes over.
class ReadCache::Reading {
 public:
  Reading(Kept& kept, uint64_t offset, uint64_t bytes)
      : kept_(kept),
        first_(offset / kBlockBytes),
        found_((offset + bytes - 1) / kBlockBytes + 1 - first_),
        slots_(found_.size() * kSlotBytes) {}

  /// Finds what is there, and where the file is known to end.
  void look() {
    const auto there = kept_.file->read_at(place_of_slot(first_ + 1), slots_.span());
    const ByteSpan known = slots_.span().first(there ? *there : 0);
    for (uint64_t i = 0; i < found_.size(); ++i) {
      const uint64_t begin = std::min<uint64_t>(i * kSlotBytes, known.size());
      found_[i] = bytes_in(known.subspan(begin, std::min(kSlotBytes, known.size() - begin)));
      if (found_[i] && !is_whole(first_ + i, found_[i]->size())) found_[i].reset();
      if (!found_[i] && is_past_end(first_ + i)) found_[i] = ByteSpan();
    }
  }

  /// Fetches the blocks from the first to the last that is not there, unless others are at it: then
  /// it waits for them, and false says to look again. `arrived`: how many bytes came.
  Result<bool> fetch_missing(const Fetch& fetch, uint64_t& arrived) {
    const auto [begin, count] = missing();
    if (count == 0) return true;
    FreeAgain free_again{kept_, first_ + begin};
    {
      std::unique_lock lock(kept_.mutex);
      if (!kept_.are_free(first_ + begin, count)) {
        // Others may wait for their network; this call need not end with theirs.
        while (!kept_.less_under_way.wait_for(
            lock, kLook, [&] { return kept_.are_free(first_ + begin, count); })) {
          CAIRN_CHECK(unless_stopped(StopScope::current(), "the read"));
        }
        return false;
      }
      for (; free_again.count < count; ++free_again.count) {
        kept_.under_way.insert(first_ + begin + free_again.count);
      }
    }
    CAIRN_CHECK(fetch_blocks(begin, count, fetch, arrived));
    return true;
  }

  /// REQUIRES: nothing is missing.
  size_t copy_out(uint64_t offset, MutableBytes out) const {
    size_t filled = 0;
    uint64_t skip = offset % kBlockBytes;
    for (const auto& block : found_) {
      if (block->size() <= skip) break;
      const size_t count = std::min<size_t>(block->size() - skip, out.size() - filled);
      std::memcpy(out.data() + filled, block->data() + skip, count);
      filled += count;
      skip = 0;
      if (block->size() < kBlockBytes) break;  // the file ends
    }
    return filled;
  }

 private:
  std::optional<uint64_t> file_bytes() {
    if (!file_bytes_) file_bytes_ = size_in(*kept_.file);
    return file_bytes_;
  }

  /// A short block is the last, or what a server gave that had a shorter file.
  bool is_whole(uint64_t block, uint64_t bytes) {
    return bytes == kBlockBytes || file_bytes() == block * kBlockBytes + bytes;
  }

  bool is_past_end(uint64_t block) { return file_bytes() && block * kBlockBytes >= *file_bytes(); }

  std::pair<uint64_t, uint64_t> missing() const {
    const auto is_missing = [](const auto& block) { return !block.has_value(); };
    const auto begin = std::find_if(found_.begin(), found_.end(), is_missing);
    const auto end = std::find_if(found_.rbegin(), found_.rend(), is_missing).base();
    if (begin == found_.end()) return {0, 0};
    return {static_cast<uint64_t>(begin - found_.begin()), static_cast<uint64_t>(end - begin)};
  }

  Status fetch_blocks(uint64_t begin, uint64_t count, const Fetch& fetch, uint64_t& arrived) {
    fetched_ = AlignedBuffer(count * kBlockBytes);
    const MutableBytes room = fetched_.span().first(count * kBlockBytes);
    CAIRN_TRY(arrived, fetch((first_ + begin) * kBlockBytes, room));
    if (arrived < room.size()) put_size(*kept_.file, (first_ + begin) * kBlockBytes + arrived);
    ByteSpan rest = room.first(arrived);
    for (uint64_t i = begin; i < begin + count; ++i) {
      const ByteSpan block = rest.first(std::min<uint64_t>(kBlockBytes, rest.size()));
      if (!block.empty()) put_slot(*kept_.file, first_ + i + 1, block);
      found_[i] = block;
      rest = rest.subspan(block.size());
    }
    return {};
  }

  Kept& kept_;
  const uint64_t first_;
  std::vector<std::optional<ByteSpan>> found_;  // unset: missing; short or empty: the file's end
  AlignedBuffer slots_, fetched_;
  std::optional<uint64_t> file_bytes_;
};

Result<size_t> ReadCache::read(const std::string& name, uint64_t offset, MutableBytes out,
                               const Fetch& fetch) {
  const std::shared_ptr<Kept> file = kept(name);
  if (file == nullptr || out.empty()) return fetch(offset, out);
  Reading reading(*file, offset, out.size());
  uint64_t arrived = 0;
  for (bool is_complete = false; !is_complete;) {
    reading.look();
    CAIRN_TRY(is_complete, reading.fetch_missing(fetch, arrived));
  }
  count_written(arrived);
  return reading.copy_out(offset, out);
}

void ReadCache::distrust(const std::string& name, uint64_t offset, uint64_t bytes) {
  const std::shared_ptr<Kept> file = bytes == 0 ? nullptr : kept(name);
  if (file == nullptr) return;
  const Bytes nothing(kSlotHeadBytes);
  const auto give_up = [&](uint64_t slot) {
    (void)file->file->write_at(place_of_slot(slot), nothing).has_value();
  };
  give_up(0);
  const uint64_t last = (offset + bytes - 1) / kBlockBytes;
  for (uint64_t block = offset / kBlockBytes; block <= last; ++block) give_up(block + 1);
}

std::optional<uint64_t> ReadCache::size(const std::string& name) {
  const std::shared_ptr<Kept> file = kept(name);
  return file == nullptr ? std::nullopt : size_in(*file->file);
}

void ReadCache::keep_size(const std::string& name, uint64_t bytes) {
  const std::shared_ptr<Kept> file = kept(name);
  if (file != nullptr) put_size(*file->file, bytes);
}

/// Null: there can be none now.
std::shared_ptr<ReadCache::Kept> ReadCache::kept(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto known = files_.find(name);
  if (known != files_.end()) return known->second;
  if (files_.size() >= kOpenFilesMax) files_.clear();
  const std::string path = join_path(folder_, name + std::string(kSuffix));
  const std::shared_ptr<File> opened = open_file(path);
  if (opened == nullptr) return nullptr;
  // Room is made at the cost of what was not used for longest.
  (void)fs_.touch(path).has_value();
  auto& kept = files_[name] = std::make_shared<Kept>();
  kept->file = opened;
  return kept;
}

std::shared_ptr<File> ReadCache::open_file(const std::string& path) {
  // The last: where nothing can be written any more.
  for (const OpenMode mode :
       {OpenMode::kUpdate, OpenMode::kCreate, OpenMode::kUpdate, OpenMode::kRead}) {
    if (auto opened = fs_.open(path, mode)) return *std::move(opened);
  }
  return nullptr;
}

void ReadCache::count_written(uint64_t bytes) {
  const uint64_t share = bytes_max_ / kShares;
  if (bytes == 0 || (written_bytes_ += bytes) < share) return;
  written_bytes_ = 0;
  (void)make_room().has_value();
}

/// Removes what was not used for longest, until three quarters are taken at most: a dozen
/// processes may each write their share before they come here again.
Status ReadCache::make_room() {
  const auto lock = fs_.lock(join_path(folder_, "lock"), std::chrono::milliseconds(0));
  if (!lock && lock.error().code == Code::kBusy) return {};  // another does it
  struct Entry {
    int64_t used_ns;
    uint64_t bytes;
    std::string path;
  };
  std::vector<Entry> all;
  uint64_t total = 0;
  CAIRN_TRY(const auto entries, fs_.list(folder_));
  for (const FolderEntry& entry : entries) {
    const std::string path = join_path(folder_, entry.name);
    if (!entry.is_file || !entry.name.ends_with(kSuffix)) continue;
    const auto info = fs_.info(path);
    if (!info) continue;
    all.push_back({info->modified_ns, info->disk_bytes, path});
    total += info->disk_bytes;
  }
  if (total <= bytes_max_ / 4 * 3) return {};
  std::sort(all.begin(), all.end(),
            [](const Entry& a, const Entry& b) { return a.used_ns < b.used_ns; });
  for (const Entry& each : all) {
    if (total <= bytes_max_ / 4 * 3) break;
    if (fs_.remove(each.path)) total -= each.bytes;
  }
  const std::lock_guard files_lock(mutex_);
  files_.clear();  // some are gone
  return {};
}

}  // namespace cairn::remote
