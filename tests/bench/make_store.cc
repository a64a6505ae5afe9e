// A store of any size without its data: valid metadata, pack tables, sparse packs with holes where
// chunks would lie. For what reads no chunk: ls, show, diff, stats, check, forget, the plan of a
// gc.
//
//   make_store FOLDER --tags N --chunks N [--new PERCENT] [--tensors N] [--names N] [--seed N]
//
// `--tensors`: at least so many, where there are chunks enough.
// `--names`: so many more names of the last tag, for stores of very many tags.
#include <fmt/format.h>

#include <bit>
#include <iostream>
#include <map>
#include <random>

#include "base/clock.h"
#include "store/checkpoint.h"
#include "store/commit.h"
#include "store/meta_pack.h"
#include "store/pack_format.h"
#include "store/tag_change.h"
#include "tests/support/bare_lease.h"

namespace cairn {
namespace {

constexpr uint32_t kChunkBytes = 4096;
constexpr std::chrono::seconds kWait{60};

template <class T>
T must(Result<T> result) {
  if (result) return *std::move(result);
  std::cerr << result.error().message << '\n';
  std::exit(1);
}
void must(const Status& status) {
  if (status) return;
  std::cerr << status.error().message << '\n';
  std::exit(1);
}

/// What the chunks of the latest tag are and where they lie.
struct Chunk {
  Digest digest;
  Copy copy;
};

class Maker {
 public:
  Maker(const std::string& folder, std::map<std::string, uint64_t> wanted)
      : wanted_(std::move(wanted)), random_(wanted_["--seed"]) {
    Config config;
    config.chunk_elements = kChunkBytes;
    must(Store::init(posix_fs(), folder, config));
    store_ = must(Store::open(posix_fs(), folder));
    // A grid of one axis has a power of two of parts.
    const uint64_t tensors = std::max<uint64_t>(1, wanted_["--tensors"]);
    const uint64_t count = std::bit_floor(std::max<uint64_t>(1, wanted_["--chunks"] / tensors));
    const uint64_t needed = std::max<uint64_t>(1, wanted_["--chunks"] / count);
    chunks_.resize(needed * count);
    for (uint64_t i = 0; i < needed; ++i) {
      schema_.tensors.push_back(
          {fmt::format("layer.{:06}", i), kDtypeU8, {count * kChunkBytes}, count});
    }
    schema_.chunk_elements = kChunkBytes;
    plan_ = plan_pages(schema_, {});
  }

  void run() {
    for (uint64_t tag = 0; tag < wanted_["--tags"]; ++tag) make_tag(tag);
    if (wanted_["--names"] != 0) name_again(wanted_["--names"]);
  }

 private:
  static constexpr uint8_t kDtypeU8 = 5;

  void make_tag(uint64_t number) {
    const SessionId session = must(SessionId::fresh());
    const uint64_t fresh = renew_chunks({session, 0}, number == 0);
    MetaWriter metas(posix_fs(), store_->path(), session);
    TagEntry entry;
    entry.name = fmt::format("run/{:06}", number);
    entry.step = static_cast<int64_t>(number);
    entry.created_ns = now_ns();
    entry.session = session;
    entry.facts = {chunks_.size() * kChunkBytes,
                   fresh * kChunkBytes,
                   fresh * kChunkBytes,
                   0,
                   schema_.tensors.size(),
                   chunks_.size(),
                   fresh,
                   0};
    const LocatorTable table = write_pages(metas);
    Manifest manifest;
    const Bytes schema = encode_schema(schema_);
    manifest.schema = blake3(schema);
    manifest.step = entry.step;
    for (const PagePlace& place : table.pages) manifest.pages.push_back(place.page.digest);
    if (!schema_place_) schema_place_ = must(metas.add(ObjectKind::kSchema, schema));
    entry.schema = *schema_place_;
    entry.manifest = must(metas.add(ObjectKind::kManifest, encode_manifest(manifest)));
    LocatorTable sealed = table;
    sealed.manifest = entry.manifest.digest;
    entry.table = must(metas.add(ObjectKind::kLocatorTable, encode_locator_table(sealed)));
    must(metas.add(ObjectKind::kTagEntry, encode_tag_entry(entry)));
    must(metas.finish());
    CommitFailure failure;
    const BareLease lease(store_->path(), session);
    last_ = must(commit_tag(*store_, entry, IfExists::kError, {}, kWait, failure)).entry;
  }

  /// Gives --new percent of the chunks new digests in a pack of holes; all of the first tag's.
  uint64_t renew_chunks(const FileId& pack, bool all) {
    std::deque<PackedCopy> rows;
    PackLayout layout;
    for (Chunk& chunk : chunks_) {
      if (!all && random_() % 1000 >= wanted_["--new"] * 10) continue;
      for (uint8_t& byte : chunk.digest.bytes) byte = static_cast<uint8_t>(random_());
      const uint64_t offset = layout.add(kChunkBytes, 0);
      chunk.copy = {pack, offset, kChunkBytes, kChunkBytes, Encoding::kRaw, {}, {}};
      rows.push_back({chunk.digest, offset, kChunkBytes, kChunkBytes, Encoding::kRaw, {}, {}});
    }
    if (rows.empty()) return 0;
    const std::string path = join_path(store_->path(), relative_path(FileKind::kPack, pack));
    must(posix_fs().make_folders(parent_folder(path)));
    const auto file = must(posix_fs().open(path, OpenMode::kCreate));
    const uint64_t table_offset = round_up(layout.end(), 8);
    must(file->write_at(0, encode_pack_header(FileKind::kPack, pack)));
    must(file->write_at(table_offset, encode_pack_footer(pack, rows, table_offset)));
    return rows.size();
  }

  LocatorTable write_pages(MetaWriter& metas) {
    LocatorTable table;
    std::map<FileId, uint64_t> uses;
    uint64_t next = 0;
    for (size_t number = 0; number < plan_.pages.size(); ++number) {
      Page page;
      Locator locator;
      for (const PageRun& run : plan_.pages[number]) {
        for (uint64_t i = 0; i < run.chunk_count; ++i, ++next) {
          page.entries.push_back(chunks_[next].digest);
          locator.copies.push_back(chunks_[next].copy);
          uses[chunks_[next].copy.pack] += kChunkBytes;
        }
      }
      table.pages.push_back(place_of(metas, number, encode_page(page), encode_locator(locator)));
    }
    for (const auto& [pack, bytes] : uses) table.packs.push_back({pack, bytes});
    places_ = table.pages;
    return table;
  }

  PagePlace place_of(MetaWriter& metas, size_t number, const Bytes& page, const Bytes& locator) {
    if (number < places_.size() && places_[number].page.digest == blake3(page)) {
      return places_[number];
    }
    return {must(metas.add(ObjectKind::kPage, page)),
            must(metas.add(ObjectKind::kLocator, locator))};
  }

  void name_again(uint64_t names) {
    const auto edit = [&](Root& root, TagBook& tags) -> Result<RootChange> {
      for (uint64_t i = 0; i < names; ++i) {
        TagEntry entry = last_;
        entry.name = fmt::format("name/{:07}", i);
        entry.commit = ++root.commit;
        tags.put(std::move(entry));
      }
      return RootChange::kReplace;
    };
    ChangeOutcome outcome;
    must(change_tags(*store_, must(SessionId::fresh()), kWait, edit, outcome));
  }

  std::map<std::string, uint64_t> wanted_;
  std::mt19937_64 random_;
  std::unique_ptr<Store> store_;
  Schema schema_;
  PagePlan plan_;
  std::vector<Chunk> chunks_;
  std::vector<PagePlace> places_;  // of the latest tag
  std::optional<Reference> schema_place_;
  TagEntry last_;
};

}  // namespace
}  // namespace cairn

int main(int count, char** words) {
  std::map<std::string, uint64_t> wanted = {{"--tags", 1},      {"--chunks", 1000}, {"--new", 5},
                                            {"--tensors", 300}, {"--names", 0},     {"--seed", 1}};
  for (int i = 2; i + 1 < count; i += 2) wanted[words[i]] = std::stoull(words[i + 1]);
  if (count < 2 || count % 2 != 0 || wanted.size() != 6) {
    std::cerr << "usage: make_store FOLDER --tags N --chunks N [--new PERCENT] [--tensors N] "
                 "[--names N] [--seed N]\n";
    return 2;
  }
  cairn::Maker(words[1], wanted).run();
}
