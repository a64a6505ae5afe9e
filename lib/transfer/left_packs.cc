#include "lib/transfer/left_packs.h"

#include <map>
#include <tuple>

#include "base/fs.h"
#include "store/pack_table.h"

namespace cairn {
namespace {

/// All that decides what a copy decodes to.
using CopyKey = std::tuple<Digest, uint32_t, uint32_t, Encoding, std::vector<Digest>, Bytes>;

class Finder {
 public:
  Finder(const Store& to, const std::vector<Fetch>& fetches) : to_(to), fetches_(fetches) {}

  LeftPacks run(const FoundArrivals& found) {
    left_.notes = found.passed_over;
    if (!found.left.empty()) index_wanted();
    for (const LeftArrivals& session : found.left) {
      const auto packs = packs_of(session.session);
      if (!packs) {
        left_.notes.push_back(packs.error().message);
        continue;
      }
      left_.journals.push_back(session.path);
      for (const FileId& pack : *packs) take(pack);
    }
    return std::move(left_);
  }

 private:
  void index_wanted() {
    left_.copies.resize(fetches_.size());
    for (uint32_t number = 0; number < fetches_.size(); ++number) {
      const Fetch& fetch = fetches_[number];
      if (fetch.chain) continue;
      const Copy& copy = fetch.copy;
      wanted_.emplace(CopyKey{fetch.digest, copy.stored_bytes, copy.decoded_bytes, copy.encoding,
                              fetch.bases, copy.parameters},
                      number);
    }
  }

  Result<std::vector<FileId>> packs_of(const SessionId& session) const {
    const std::string path =
        join_path(to_.path(), relative_path(FileKind::kPack, FileId{session, 0}));
    std::vector<FileId> packs;
    const auto entries = to_.fs().list(parent_folder(path));
    if (!entries && entries.error().code == Code::kNotFound) return packs;
    CAIRN_CHECK(entries);
    for (const FolderEntry& entry : *entries) {
      const auto pack = FileId::parse(entry.name);
      if (entry.is_file && pack && pack->session == session) packs.push_back(*pack);
    }
    return packs;
  }

  /// What of a pack is wanted; nothing of one whose table cannot be read.
  void take(const FileId& pack) {
    const auto rows = list_copies(to_.fs(), to_.path(), pack);
    if (!rows) return;
    for (const PackedCopy& row : *rows) {
      const auto wanted = wanted_.find({row.digest, row.stored_bytes, row.decoded_bytes,
                                        row.encoding, row.bases, row.parameters});
      if (wanted == wanted_.end()) continue;
      Copy& copy = left_.copies[wanted->second].emplace(fetches_[wanted->second].copy);
      wanted_.erase(wanted);
      copy.pack = pack;
      copy.offset = row.offset;
      left_.bytes += row.stored_bytes;
      left_.packs.insert(pack);
    }
  }

  const Store& to_;
  const std::vector<Fetch>& fetches_;
  std::multimap<CopyKey, uint32_t> wanted_;  // numbers of fetches
  LeftPacks left_;
};

}  // namespace

LeftPacks find_left_packs(const Store& to, const Origin& origin,
                          const std::vector<Fetch>& fetches) {
  return Finder(to, fetches).run(find_left_arrivals(to, origin));
}

LeftBytes look_at_left_packs(const Store& to, const Origin& origin,
                             const std::vector<Fetch>& fetches) {
  LeftPacks left = Finder(to, fetches).run(look_at_left_arrivals(to, origin));
  return {left.bytes, std::move(left.notes)};
}

}  // namespace cairn
