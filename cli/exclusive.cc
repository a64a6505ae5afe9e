#include "cli/exclusive.h"

#include <unordered_map>

#include "store/bases.h"
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
    const auto read = [&](size_t page) -> Result<Locator> {
      CAIRN_TRY(const auto loaded, checkpoint->page(page));
      return loaded->locator;
    };
    const auto count = [&](const CopyRef&, const Copy& copy) -> Status {
      if (copy.stored_bytes == 0) return {};  // zeros: they lie where the next copy does
      const auto [at, fresh] =
          uses.try_emplace({copy.pack, copy.offset}, Use{number, copy.stored_bytes, false});
      if (!fresh && at->second.tag != number) at->second.shared = true;
      return {};
    };
    CAIRN_CHECK(for_each_needed(checkpoint->table(), read, count));
  }
  std::map<std::string, uint64_t> bytes;
  for (const TagEntry& tag : tags.tags) bytes[tag.name] = 0;
  for (const auto& [key, use] : uses) {
    if (!use.shared) bytes[tags.tags[use.tag].name] += use.stored_bytes;
  }
  return bytes;
}

}  // namespace cairn
