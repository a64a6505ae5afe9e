// Checkpoints made by hand, copy by copy: what no save would write too. One tensor of bytes, in
// chunks of 1024.
#pragma once

#include <filesystem>
#include <fstream>

#include "lib/dtype.h"
#include "store/checkpoint.h"
#include "store/meta_pack.h"
#include "store/open_pack.h"
#include "store/seal.h"
#include "tests/lib/store_fixture.h"

namespace cairn {

class ForgedTags : public StoreFixture {
 protected:
  static constexpr uint32_t kChunkBytes = 1024;

  void SetUp() override {
    StoreFixture::SetUp();
    session_ = *SessionId::fresh();
    pack_ = *OpenPack::begin(posix_fs(), path(), {session_, 0});
  }

  /// The digest of the page that these chunks make.
  static Digest page_digest(const std::vector<Digest>& chunks) {
    return blake3(encode_page({{chunks.begin(), chunks.end()}}));
  }

  /// Stores bytes in the pack; the codec's parameters get their seal.
  Copy put(Encoding encoding, ByteSpan stored, const Digest& digest, ByteSpan parameters = {}) {
    NewCopy copy{digest, encoding, kChunkBytes, stored};
    copy.parameters.assign(parameters.begin(), parameters.end());
    if (is_sealed(encoding)) copy.parameters = seal_parameters(parameters, stored);
    return *pack_->append(copy);
  }
  Copy put_raw(ByteSpan bytes) { return put(Encoding::kRaw, bytes, blake3(bytes)); }

  /// A copy that lies nowhere.
  static Copy nowhere(std::vector<BaseRef> bases) {
    return {{}, 0, 8, kChunkBytes, Encoding::kDelta, std::move(bases), Bytes(9)};
  }

  /// Whose own chunks, a power of two of them, are these; the pages of `closure` come behind. The
  /// pack is sealed.
  std::unique_ptr<Checkpoint> open(const std::vector<Digest>& chunks, std::vector<Copy> copies,
                                   std::vector<PagePlace> closure = {}) {
    if (pack_ != nullptr) {
      EXPECT_TRUE(pack_->seal());
    }
    pack_.reset();
    MetaWriter metas(posix_fs(), path(), *SessionId::fresh());
    Schema schema{1024, {{"w", uint8_t(Dtype::kU8), {kChunkBytes * chunks.size()}, chunks.size()}}};
    Manifest manifest;
    LocatorTable table;
    for (size_t first = 0; first < chunks.size(); first += kPageEntriesMax) {
      const size_t count = std::min(chunks.size() - first, kPageEntriesMax);
      const auto begin = static_cast<ptrdiff_t>(first), end = begin + ptrdiff_t(count);
      const Bytes page = encode_page({{chunks.begin() + begin, chunks.begin() + end}});
      const Locator locator{{copies.begin() + begin, copies.begin() + end}};
      table.pages.push_back({*metas.add(ObjectKind::kPage, page),
                             *metas.add(ObjectKind::kLocator, encode_locator(locator))});
      manifest.pages.push_back(table.pages.back().page.digest);
    }
    table.closure = std::move(closure);
    std::map<FileId, uint64_t> uses;
    for (const Copy& copy : copies) uses[copy.pack] += copy.stored_bytes;
    for (const auto& [file, bytes] : uses) table.packs.push_back({file, bytes});
    TagEntry entry;
    entry.name = "forged";
    entry.session = session_;
    entry.schema = *metas.add(ObjectKind::kSchema, encode_schema(schema));
    manifest.schema = entry.schema.digest;
    entry.manifest = *metas.add(ObjectKind::kManifest, encode_manifest(manifest));
    table.manifest = entry.manifest.digest;
    entry.table = *metas.add(ObjectKind::kLocatorTable, encode_locator_table(table));
    EXPECT_TRUE(metas.finish());
    auto opened = Checkpoint::open(*store_, entry);
    EXPECT_TRUE(opened) << opened.error().message;
    return opened ? *std::move(opened) : nullptr;
  }

  std::string pack_path() const {
    return path() + "/" + relative_path(FileKind::kPack, {session_, 0});
  }
  /// Changes a byte of a copy where it lies.
  void damage(const Copy& copy) const {
    std::fstream file(pack_path(), std::ios::in | std::ios::out | std::ios::binary);
    const auto at = static_cast<std::streamoff>(copy.offset + copy.stored_bytes / 2);
    const int byte = file.seekg(at).get();
    file.seekp(at).put(static_cast<char>(byte ^ 0x10));
    ASSERT_TRUE(file.flush());
  }

  SessionId session_;
  std::unique_ptr<OpenPack> pack_;
};

}  // namespace cairn
