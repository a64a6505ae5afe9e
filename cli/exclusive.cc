#include "cli/exclusive.h"

#include <unordered_map>

#include "store/checkpoint.h"

namespace cairn {

namespace {

struct CopyKey {
  FileId pack;
  uint64_t offset;
  bool operator==(const CopyKey&) const = default;
};
struct CopyKeyHash {
  size_t operator()(const CopyKey& key) const noexcept {
    return std::hash<FileId>()(key.pack) * 31 + key.offset;
  }
};
struct Use {
  size_t tag;
  uint32_t stored_bytes;
  bool shared;
};

}  // namespace

Result<std::map<std::string, uint64_t>> exclusive_bytes(const Store& store, const TagList& tags) {
  std::unordered_map<CopyKey, Use, CopyKeyHash> uses;
  for (size_t number = 0; number < tags.tags.size(); ++number) {
    CAIRN_TRY(const auto checkpoint, Checkpoint::open(store, tags.tags[number]));
    const auto& table = checkpoint->table();
    for (size_t page = 0; page < table.page_count(); ++page) {
      CAIRN_TRY(const auto loaded, checkpoint->page(page));
      for (const Copy& copy : loaded->locator.copies) {
        if (copy.stored_bytes == 0) continue;  // zeros: they lie where the next copy does
        const auto [at, fresh] =
            uses.try_emplace({copy.pack, copy.offset}, Use{number, copy.stored_bytes, false});
        if (!fresh && at->second.tag != number) at->second.shared = true;
      }
    }
  }
  std::map<std::string, uint64_t> bytes;
  for (const TagEntry& tag : tags.tags) bytes[tag.name] = 0;
  for (const auto& [key, use] : uses) {
    if (!use.shared) bytes[tags.tags[use.tag].name] += use.stored_bytes;
  }
  return bytes;
}

}  // namespace cairn
