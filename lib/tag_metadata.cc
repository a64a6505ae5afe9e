#include "lib/tag_metadata.h"

#include <algorithm>

#include "lib/base_closure.h"
#include "store/base_cycles.h"

namespace cairn {

/// The locator with nothing but bases of these pages.
static Locator own_bases(const Locator& locator, const std::map<Digest, uint64_t>& pages) {
  Locator own;
  for (const Copy& copy : locator.copies) {
    Copy& bare = own.copies.emplace_back();
    for (const BaseRef& base : copy.bases) {
      if (pages.contains(base.page)) bare.bases.push_back(base);
    }
  }
  return own;
}

/// Pages and locators, those of the base where they are equal.
Result<LocatorTable> TagMetadata::write_pages(Manifest& manifest) {
  LocatorTable table;
  manifest.pages = pages_.digests();
  BaseClosure closure(base_, manifest.pages);
  // Bases are found by the digest of their page: equal pages have one locator, the first one's.
  std::map<Digest, uint64_t> times;
  for (const Digest& page : manifest.pages) ++times[page];
  // Only then can copies of one place have come to be those of another.
  const bool may_circle = times.size() < manifest.pages.size() || plan_.kind == SaveKind::kMerged;
  std::map<Digest, PagePlace> places;
  std::map<Digest, Locator> own;
  for (size_t number = 0; number < manifest.pages.size(); ++number) {
    const Digest& page = manifest.pages[number];
    const auto [place, fresh] = places.try_emplace(page);
    if (fresh) {
      CAIRN_TRY(Locator copies, pages_.locator(number, manifest.pages));
      CAIRN_TRY(place->second, place_page(number, page, copies));
      CAIRN_CHECK(closure.add(copies, times[page]));
      if (may_circle) own[page] = own_bases(copies, times);
    }
    table.pages.push_back(place->second);
  }
  CAIRN_CHECK(refuse_circles(own, table));
  CAIRN_CHECK(closure.finish(table));
  return table;
}

/// Where pages are equal, copies of one stand for those of the other, and these may be made from
/// the former; so it is with replicas that several processes have stored. Then all is stored
/// without the base: weights by themselves, masters from them.
Status TagMetadata::refuse_circles(const std::map<Digest, Locator>& own,
                                   const LocatorTable& table) {
  if (own.empty()) return {};
  const auto read = [&](size_t page) -> Result<Locator> {
    return own.at(table.pages[page].page.digest);
  };
  CAIRN_TRY(lost_reused_, has_base_cycle(table, read));
  if (!lost_reused_) return {};
  return fail(Code::kBug, "copies are made from each other in a circle");
}

/// Where a page lies. The base's own where its locator is the same; and where the base has the
/// page otherwise stored, and copies written just now are made from others, what it has: these
/// others may be made from that page. `copies` becomes what the locator says.
Result<PagePlace> TagMetadata::place_page(size_t number, const Digest& page, Locator& copies) {
  PagePlace place;
  if (base_ != nullptr) {
    if (const auto same = base_->equal_page(page, blake3(encode_locator(copies)))) return *same;
    const bool has_bases = std::any_of(copies.copies.begin(), copies.copies.end(),
                                       [](const Copy& copy) { return !copy.bases.empty(); });
    const auto standing = base_->page_of(page);
    if (has_bases && standing) {
      auto others = pages_.sound_copies(number, page, copies);
      lost_reused_ = !others;
      if (!others) {
        return fail(Code::kCorrupt, "what the base tag has of this checkpoint is damaged");
      }
      copies = *std::move(others);
      place = *standing;
      const Bytes locator = encode_locator(copies);
      if (blake3(locator) == place.locator.digest) return place;
      CAIRN_TRY(place.locator, put(ObjectKind::kLocator, locator));
      return place;
    }
  }
  CAIRN_TRY(place.page, put(ObjectKind::kPage, encode_page(pages_.page(number))));
  CAIRN_TRY(place.locator, put(ObjectKind::kLocator, encode_locator(copies)));
  return place;
}

Status TagMetadata::write(TagEntry& entry) {
  Manifest manifest{request_.step,          {}, request_.metadata, request_.file_metadata,
                    plan_.attachment_infos, {}};
  CAIRN_TRY(LocatorTable table, write_pages(manifest));
  for (const PackUse& use : table.packs) packs_.push_back(use.pack);
  const Bytes schema = encode_schema(plan_.schema);
  manifest.schema = blake3(schema);
  const auto shared = base_ == nullptr ? std::nullopt : base_->equal_schema(manifest.schema);
  if (shared) {
    entry.schema = *shared;
  } else {
    CAIRN_TRY(entry.schema, put(ObjectKind::kSchema, schema));
  }
  CAIRN_TRY(entry.manifest, put(ObjectKind::kManifest, encode_manifest(manifest)));
  table.manifest = entry.manifest.digest;
  CAIRN_TRY(entry.table, put(ObjectKind::kLocatorTable, encode_locator_table(table)));
  if (!plan_.layout) return {};
  const Bytes layout = encode_layout(*plan_.layout, plan_.schema);
  if (base_ != nullptr) entry.layout = base_->equal_layout(blake3(layout));
  if (!entry.layout) {
    CAIRN_TRY(entry.layout, put(ObjectKind::kLayout, layout));
  }
  return {};
}

}  // namespace cairn
