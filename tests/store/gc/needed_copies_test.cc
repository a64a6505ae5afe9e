// Copies that need others: raw bytes stand in for an encoding with bases.
#include "store/gc/needed_copies.h"

#include <gtest/gtest.h>

#include "store/commit.h"
#include "store/forget.h"
#include "store/gc/collect.h"
#include "store/meta_pack.h"
#include "store/open_pack.h"
#include "tests/lib/store_fixture.h"
#include "tests/support/bare_lease.h"

namespace cairn {
namespace {

using namespace std::chrono_literals;

class Bases : public StoreFixture {
 protected:
  /// A tag of one chunk in a pack of its own, whose copy is made from that of `base`.
  TagEntry make(const std::string& name, const Bytes& data, const TagEntry* base) {
    const SessionId session = *SessionId::fresh();
    MetaWriter metas(posix_fs(), path(), session);
    auto pack = *OpenPack::begin(posix_fs(), path(), {session, 0});
    EXPECT_TRUE(pack->append({blake3(noise(5000, 77)), Encoding::kRaw, 5000, noise(5000, 77)}));
    NewCopy stored{blake3(data), Encoding::kRaw, uint32_t(data.size()), data};
    LocatorTable table;
    std::map<FileId, uint64_t> uses;
    if (base != nullptr) {
      const TagParts parts = *read_tag_parts(*store_, base->manifest, base->table);
      for (size_t number = 0; number < parts.table.page_count(); ++number) {
        table.closure.push_back(parts.table.place(number));
      }
      for (const PackUse& use : parts.table.packs) uses[use.pack] = use.stored_bytes;
      stored.bases = {table.closure[0].page.digest};
    }
    Copy copy = *pack->append(stored);
    EXPECT_TRUE(pack->seal());
    if (base != nullptr) copy.bases = {{table.closure[0].page.digest, 0}};
    uses[copy.pack] += copy.stored_bytes;
    for (const auto& [file, bytes] : uses) table.packs.push_back({file, bytes});

    Schema schema{1024, {{"w", uint8_t(Dtype::kU8), {data.size()}, 1}}};
    Manifest manifest;
    const Bytes page = encode_page({{blake3(data)}});
    table.pages.push_back({*metas.add(ObjectKind::kPage, page),
                           *metas.add(ObjectKind::kLocator, encode_locator({{copy}}))});
    manifest.pages = {table.pages[0].page.digest};
    TagEntry entry;
    entry.schema = *metas.add(ObjectKind::kSchema, encode_schema(schema));
    manifest.schema = entry.schema.digest;
    entry.manifest = *metas.add(ObjectKind::kManifest, encode_manifest(manifest));
    table.manifest = entry.manifest.digest;
    entry.table = *metas.add(ObjectKind::kLocatorTable, encode_locator_table(table));
    entry.name = name;
    entry.session = session;
    EXPECT_TRUE(metas.finish());
    CommitFailure failure;
    const BareLease lease(path(), session);
    return commit_tag(*store_, entry, IfExists::kError, {}, 0ms, failure)->entry;
  }

  Bytes load_bytes(const std::string& name) {
    Bytes data(1000);
    LoadRequest request;
    request.targets.push_back({"w", Dtype::kU8, {1000}, whole_box({1000}), data.data(), {}});
    auto checkpoint = open_tag(*store_, name);
    EXPECT_TRUE(checkpoint) << checkpoint.error().message;
    EXPECT_TRUE(load(**checkpoint, request));
    return data;
  }

  /// The packs that hold the copies of a tag's chain, from its own down.
  std::vector<FileId> chain(const std::string& name) {
    const TagEntry tag = *store_->find_tag(name);
    const TagParts parts = *read_tag_parts(*store_, tag.manifest, tag.table);
    std::vector<FileId> packs;
    const auto read = [&](size_t page) -> Result<Locator> {
      return decode_locator(*read_object(store_->meta_files(), parts.table.place(page).locator));
    };
    EXPECT_TRUE(for_each_needed(parts.table, read, [&](const CopyRef&, const Copy& copy) -> Status {
      packs.push_back(copy.pack);
      return {};
    }));
    return packs;
  }
};

TEST_F(Bases, StayWhenTheirOwnTagsAreForgotten) {
  const Bytes a = noise(1000, 1), b = noise(1000, 2), c = noise(1000, 3);
  const TagEntry first = make("a", a, nullptr);
  const TagEntry second = make("b", b, &first);
  // Of c's copy the base lies in b's page, whose base lies in a's.
  make("c", c, &second);
  ASSERT_TRUE(forget_tags(*store_, {*store_->find_tag("a"), *store_->find_tag("b")}, false, 0ms));
  const auto plan = plan_collection(*store_, {});
  ASSERT_TRUE(plan) << plan.error().message;
  const auto report = collect(*store_, {});
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(plan->freed_bytes, report->freed_bytes);
  store_ = *Store::open(posix_fs(), path());
  EXPECT_EQ(load_bytes("c"), c);
  const std::vector<FileId> packs = chain("c");
  ASSERT_EQ(packs.size(), 3u) << "the bases are still there";
  for (const FileId& pack : packs) {
    EXPECT_TRUE(file_exists(posix_fs(), join_path(path(), relative_path(FileKind::kPack, pack))));
  }
  EXPECT_EQ(report->packs_rewritten, 3u) << "each pack is mostly dead bytes";
}

TEST_F(Bases, AnUnknownEncodingStopsACollection) {
  const Bytes a = noise(1000, 1);
  const TagEntry tag = make("a", a, nullptr);
  TagEntry newer = tag;
  MetaWriter metas(posix_fs(), path(), *SessionId::fresh());
  TagParts parts = *read_tag_parts(*store_, tag.manifest, tag.table);
  Locator locator =
      *decode_locator(*read_object(store_->meta_files(), parts.table.pages[0].locator));
  locator.copies[0].encoding = static_cast<Encoding>(200);
  parts.table.pages[0].locator = *metas.add(ObjectKind::kLocator, encode_locator(locator));
  newer.table = *metas.add(ObjectKind::kLocatorTable, encode_locator_table(parts.table));
  newer.name = "newer";
  newer.session = *SessionId::fresh();
  ASSERT_TRUE(metas.finish());
  CommitFailure failure;
  {
    const BareLease lease(path(), newer.session);
    ASSERT_TRUE(commit_tag(*store_, newer, IfExists::kError, {}, 0ms, failure));
  }
  EXPECT_EQ(collect(*store_, {}).error().code, Code::kNewerFormat);
}

}  // namespace
}  // namespace cairn
